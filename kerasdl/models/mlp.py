"""A multilayer perceptron: dense layers on any inputs, flattened and concatenated (Rumelhart et al. 1986)."""

from collections.abc import Mapping, Sequence

import keras

from kerasdl.data.features import Feature
from kerasdl.errors import ConfigError


def build(
    features: Mapping[str, Feature],
    outputs: int,
    *,
    units: Sequence[int] = (64, 64),
    activation: str = "relu",
    dropout: float = 0.0,
    kernel_initializer="glorot_uniform",
    kernel_regularizer=None,
) -> keras.Model:
    """Dense layers, each followed by dropout if there is any, and a last one that returns the outputs.

    Args:
        features: the inputs by name: images, numbers.
        outputs: width of the last layer.
        units: widths of the hidden layers.
        activation: name of a Keras activation.
        dropout: share of each hidden layer's units dropped, in [0, 1).
        kernel_initializer: a Keras initializer or its name.
        kernel_regularizer: a Keras regularizer, its name, or None.

    Returns:
        A model from preprocessed features, (batch, *shape) float each, to (batch, outputs): it takes a tensor if there
        is one feature, a dict by name if there are several.

    Raises:
        ConfigError: a feature is neither an image nor a number.
    """
    for name, feature in features.items():
        if feature.kind not in ("image", "number"):
            raise ConfigError(f"model mlp takes images and numbers. Received: {name!r}, which is {feature.describe()}.")
    kernels = {"kernel_initializer": kernel_initializer, "kernel_regularizer": kernel_regularizer}
    inputs = {name: keras.Input(feature.shape, name=name) for name, feature in features.items()}
    flat = [keras.layers.Reshape((-1,), name=f"flat_{name}")(tensor) for name, tensor in inputs.items()]
    x = keras.layers.Concatenate(name="side_by_side")(flat) if len(flat) > 1 else flat[0]
    for number, width in enumerate(units, start=1):
        x = keras.layers.Dense(width, activation=activation, name=f"dense{number}", **kernels)(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"dropout{number}")(x)
    x = keras.layers.Dense(outputs, name="outputs", dtype="float32", **kernels)(x)
    return keras.Model(inputs if len(inputs) > 1 else next(iter(inputs.values())), x, name="mlp")
