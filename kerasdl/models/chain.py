"""A chain of layers as a Sequential or a functional model: the same layers, names and weights either way."""

from collections.abc import Sequence

import keras

from kerasdl.errors import ConfigError

Shape = tuple[int, int, int]


def chain(layers: Sequence[keras.layers.Layer], input_shape: Shape, *, style: str, name: str) -> keras.Model:
    """Applies `layers` one after another to an input of `input_shape`.

    Args:
        layers: unbuilt layers; the last one returns the logits.
        input_shape: (height, width, channels) of one image.
        style: `sequential` for `keras.Sequential`, `functional` for `keras.Model`.
        name: the model's name.

    Returns:
        A built model from (batch, height, width, channels) float to (batch, classes).

    Raises:
        ConfigError: an image is too small for the layers, or they don't fit together.
    """
    inputs = keras.Input(input_shape, name="image")
    outputs = inputs
    for layer in layers:
        received = "x".join(str(side) for side in outputs.shape[1:])
        try:
            outputs = layer(outputs)
            if 0 in outputs.shape:
                raise ValueError("Its output is empty.")
        except ValueError as error:
            size = "x".join(map(str, input_shape))
            reason = " ".join(str(error).split()).split(" Arguments received")[0].split(" Received")[0]
            raise ConfigError(
                f"model {name} doesn't fit images of {size}: layer {layer.name} received {received}. {reason} "
                "Use larger images (data.image_size=[height,width]), smaller kernels or fewer layers."
            ) from error
    if style == "functional":
        return keras.Model(inputs, outputs, name=name)
    return keras.Sequential([inputs, *layers], name=name)
