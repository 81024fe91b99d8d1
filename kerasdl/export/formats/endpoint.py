"""The model as one compiled function of named inputs and outputs: what SavedModel, LiteRT and ONNX are made from.

The names of the inputs and outputs come out in all three, and so does a batch of any size.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasdl.export.source import PROBABILITIES, Source
from kerasdl.models.pixels import on_pixels


class Endpoint(tf.Module):
    """A model and its one function, `serve`; holds the variables, which a converter would lose otherwise.

    `serve` has an argument for each input, by its name, and returns a dict of outputs.

    Args:
        model: takes and gives tensors where there is one input or output, else dicts by name.
        inputs: the specs of the inputs by name.
        outputs: the names of the outputs.
        from_logits: whether the model ends with logits, of which probabilities are wanted.
    """

    def __init__(
        self,
        model: keras.Model,
        inputs: Mapping[str, tf.TensorSpec],
        outputs: Sequence[str],
        from_logits: bool = False,
    ):
        super().__init__()
        self.held = [variable.value for variable in model.variables]

        def serve(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
            given = model(dict(zip(inputs, tensors, strict=True)) if len(inputs) > 1 else tensors[0], training=False)
            if not isinstance(given, Mapping):
                given = {outputs[0]: tf.nn.softmax(given) if from_logits else given}
            return {name: given[name] for name in outputs}

        # What TensorFlow takes the names of the arguments from.
        named = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in inputs]
        serve.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
        self.serve = tf.function(serve, input_signature=list(inputs.values()), autograph=False)


def of_raw(source: Source) -> Endpoint:
    """Returns the function of raw features, each of its own type."""
    return Endpoint(source.model, _specs(source), list(source.outputs))


def of_floats(source: Source) -> Endpoint:
    """Returns the function of the same values as float32: a quantiser needs to see the numbers that it replaces."""
    if list(source.outputs) == [PROBABILITIES] and source.signature.takes("image"):
        return Endpoint(on_pixels(source.model), _specs(source, tf.float32), [PROBABILITIES], from_logits=True)
    return Endpoint(_taking_floats(source.model), _specs(source, tf.float32), list(source.outputs))


def _specs(source: Source, dtype: tf.DType | None = None) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec([None, *feature.shape], dtype or feature.dtype, name=name)
        for name, feature in source.signature.inputs.items()
    }


def _taking_floats(model: keras.Model) -> keras.Model:
    """Returns the same model, sharing its layers, with inputs of type float32."""

    def as_float(tensor: Any) -> Any:
        return keras.Input(tensor.shape[1:], dtype="float32", name=tensor.name)

    return keras.models.clone_model(
        model,
        input_tensors=keras.tree.map_structure(as_float, model.input),
        clone_function=lambda layer: layer,
        call_function=lambda layer, *args, **kwargs: layer(*args, **kwargs),
    )
