"""The model that is handed over: normalisation, network and output layer in one, fed with raw images."""

import keras


def serving_model(
    network: keras.Model, normalization: keras.layers.Layer, output: keras.layers.Layer, name: str | None = None
) -> keras.Model:
    """Puts `normalization` before and `output` behind `network`, sharing its layers and weights.

    Args:
        network: from normalised images to logits.
        normalization: layer from raw pixels to what the network takes.
        output: layer from logits to what a user wants, e.g. softmax.
        name: the model's name; the network's by default.

    Returns:
        A functional model from (batch, height, width, channels) uint8 to what `output` gives. It is flat (every layer
        of the network is a layer of it, by the same name) if the network is Sequential or functional.
    """
    image = keras.Input(network.input_shape[1:], dtype="uint8", name="image")
    x = normalization(image)
    if isinstance(network, keras.Sequential):
        for layer in network.layers:
            x = layer(x)
    elif hasattr(network, "operations"):  # a functional model: the same layers called again, on normalised images

        def call(layer, *args, **kwargs):
            return layer(*(x if arg is image else arg for arg in args), **kwargs)

        flat = keras.models.clone_model(
            network, input_tensors=image, clone_function=lambda layer: layer, call_function=call
        )
        x = flat.output
    else:
        x = network(x)
    return keras.Model(image, output(x), name=name or network.name)
