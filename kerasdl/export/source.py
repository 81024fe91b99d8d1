"""What every format is made from: one float32 copy of the network; and what every format gives: `Predict`.

A network that was trained in mixed precision computes in 16 bits, which LiteRT and ONNX Runtime know only in part. Its
weights are float32 all along, so that a copy which computes in float32, too, is the network at its most exact.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.export.samples import Names

if TYPE_CHECKING:
    import keras

    from kerasdl.data.features import Feature
    from kerasdl.models.signature import Signature

Arrays = Mapping[str, np.ndarray]
# From inputs (n, *shape) by name to outputs float32 (n, ...) by name.
Predict = Callable[[Arrays], Arrays]

PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        model: from raw features to what a user wants: tensors where there is one input or output, else dicts by name.
        signature: its inputs and outputs.
        calibration: inputs (n, *shape) of the training split, by whose activations a quantised format chooses its
            scales.
    """

    model: "keras.Model"
    signature: "Signature"
    calibration: Arrays

    @property
    def outputs(self) -> "dict[str, Feature]":
        """The outputs by the names that files have for them: a single label's is `probabilities`."""
        if self.signature.gives("label"):
            return {PROBABILITIES: next(iter(self.signature.outputs.values()))}
        return dict(self.signature.outputs)

    @property
    def names(self) -> Names:
        return Names(tuple(self.signature.inputs), tuple(self.outputs), self.signature.takes("image"))

    def predict(self, inputs: Arrays) -> Arrays:
        """Returns what Keras gives for a batch, as a file has to give it."""
        return as_predict(self.model, tuple(self.outputs))(inputs)


def as_predict(model: "keras.Model", outputs: tuple[str, ...]) -> Predict:
    """Returns a Keras model as a function of arrays by name.

    Args:
        model: takes and gives tensors where there is one input or output, else dicts by name.
        outputs: the names to give the outputs.
    """

    def predict(inputs: Arrays) -> Arrays:
        given = model.predict_on_batch(dict(inputs) if len(inputs) > 1 else next(iter(inputs.values())))
        named = given if isinstance(given, Mapping) else {outputs[0]: given}
        return {name: np.asarray(named[name]) for name in outputs}

    return predict


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
