"""A network whose layers are listed in YAML, so that trying one out needs no Python."""

import re
from collections.abc import Sequence

import keras

from kerasdl.models.chain import Shape, chain


def build(
    input_shape: Shape, classes: int, *, layers: Sequence[keras.layers.Layer], style: str = "sequential"
) -> keras.Model:
    """Applies `layers` in order and adds the dense layer that returns one logit per class.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: number of classes, the width of the logits.
        layers: unbuilt Keras layers; their output is flattened if it isn't flat already. A layer without a name is
            named after its class and its position: `conv2d_1`.
        style: `sequential` or `functional`.

    Returns:
        A model from (batch, height, width, channels) float, normalised, to (batch, classes) logits.

    Raises:
        ConfigError: the layers don't fit the image or one another.
    """
    for place, layer in enumerate(layers, start=1):
        kind = re.sub(r"_\d+$", "", layer.name)
        if kind.replace("_", "") == type(layer).__name__.lower():
            layer.name = (
                f"{kind}_{place}"  # Keras numbers layers across the whole process; a name must not depend on that
            )
    head = [keras.layers.Dense(classes, name="logits", dtype="float32")]
    if chain(layers, input_shape, style="functional", name="layers").output.ndim > 2:
        head.insert(0, keras.layers.Flatten(name="flatten_logits"))
    return chain([*layers, *head], input_shape, style=style, name="layers")
