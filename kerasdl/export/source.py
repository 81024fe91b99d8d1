"""What every format is made from: one float32 copy of the network; and what every format gives: `Classify`.

A network that was trained in mixed precision computes in 16 bits, which LiteRT and ONNX Runtime know only in part. Its
weights are float32 all along, so that a copy which computes in float32, too, is the network at its most exact.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

# From images uint8 (n, height, width, channels) to probabilities float32 (n, classes).
Classify = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        model: from images uint8 (n, height, width, channels) to class probabilities float32 (n, classes).
        calibration: images uint8 (n, height, width, channels) of the training split, by whose activations a quantised
            format chooses its scales; empty if none is made.
    """

    model: "keras.Model"
    calibration: np.ndarray


def in_float32(model: "keras.Model") -> "keras.Model":
    """Returns a copy of `model` with the same weights, all of whose layers compute in float32."""
    import keras

    config = _with_float32_policies(keras.saving.serialize_keras_object(model))
    with float32_policy():
        copy = keras.saving.deserialize_keras_object(config, safe_mode=True)
    copy.set_weights(model.get_weights())
    return copy


@contextmanager
def float32_policy() -> Iterator[None]:
    """Inside the block, layers that don't say what they compute in do it in float32."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def precision(model: "keras.Model") -> str:
    """Returns the precision that a model computes in: `float32`, or e.g. `mixed_bfloat16`."""
    import keras

    names = {layer.dtype_policy.name for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)}
    return min(names - {"float32"}, default="float32")


def _with_float32_policies(config: Any) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"].startswith("mixed_"):
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {key: _with_float32_policies(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_with_float32_policies(item) for item in config)
    return config
