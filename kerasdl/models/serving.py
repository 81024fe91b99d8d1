"""The final model: preprocessing, networks and output layers in one, from raw features to predictions."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kerasdl.data.features import Feature


def serving_model(
    network: keras.Model,
    features: Mapping[str, Feature],
    layers: Mapping[str, keras.layers.Layer],
    output: Callable[[Any], Any],
    name: str | None = None,
) -> keras.Model:
    """Puts `layers` before and `output` after `network`, sharing its layers and weights.

    Args:
        network: takes the preprocessed features: a tensor if there is one, a dict by name if there are several.
        features: the raw inputs.
        layers: for each input the layer from its raw values to what the network takes.
        output: layer from the network's output to the prediction, e.g. softmax.
        name: the model's name; the network's by default.

    Returns:
        A functional model from raw features, (batch, *shape) each, to predictions. With a single input and a
        Sequential or functional network it is flat: each layer of the network is a layer of it, by the same name.
    """
    raw = {key: keras.Input(feature.shape, dtype=feature.dtype, name=key) for key, feature in features.items()}
    preprocessed = {key: layers[key](tensor) for key, tensor in raw.items()}
    if len(raw) > 1:
        return keras.Model(raw, output(network(preprocessed)), name=name or network.name)
    (tensor,), (x,) = raw.values(), preprocessed.values()
    if isinstance(network, keras.Sequential):
        for layer in network.layers:
            x = layer(x)
    elif hasattr(network, "operations"):  # a functional model: the same layers called again, on preprocessed values

        def call(layer, *args, **kwargs):
            return layer(*(x if arg is tensor else arg for arg in args), **kwargs)

        flat = keras.models.clone_model(
            network, input_tensors=tensor, clone_function=lambda layer: layer, call_function=call
        )
        x = flat.output
    else:
        x = network(x)
    return keras.Model(tensor, output(x), name=name or network.name)
