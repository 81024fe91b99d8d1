"""Predictions of a trained network, streamed: pictures or rows of numbers in, a `Prediction` for each out, in order."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from kerasdl import images
from kerasdl.errors import UserError
from kerasdl.trained import tables

if TYPE_CHECKING:
    import keras

    from kerasdl.models.signature import Signature

Arrays = Mapping[str, np.ndarray]
Network = Callable[[Arrays], Arrays]  # from inputs to outputs, by the names of the signature, (b, ...) each


@dataclass(frozen=True, eq=False)
class Example:
    """The inputs of a network for one prediction, or why there are none.

    Attributes:
        name: for people: a path, `digits.npy[12]`, `patients.csv:17`, `inputs[3]`, `-`.
        values: an array for each input; None if there is an error.
        error: the reason, in a few words; None if there are values.
    """

    name: str
    values: Arrays | None = None
    error: str | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """A network's prediction for a picture or a row, or why there is none.

    Attributes:
        name: of the example; see `Example`.
        top: of a network that gives a label, the most probable classes and their probabilities in [0, 1], best first;
            of equal ones the first class.
        probabilities: of such a network, float32 [classes], in the order of the classes; None for others.
        error: the reason, in a few words; None if there is a prediction.
        outputs: by name: for a number a float32 scalar, for an image float32 [h, w, c], for a label its probabilities.
            Empty if there is an error.
    """

    name: str
    top: tuple[tuple[str, float], ...] = ()
    probabilities: np.ndarray | None = None
    error: str | None = None
    outputs: Arrays = field(default_factory=dict)

    @property
    def class_name(self) -> str | None:
        """The most probable class."""
        return self.top[0][0] if self.top else None

    @property
    def probability(self) -> float | None:
        """The probability of `class_name`, in [0, 1]."""
        return self.top[0][1] if self.top else None


def takes_table(signature: "Signature") -> bool:
    """Returns whether the inputs are single numbers, the columns of a table.

    Raises:
        UserError: they are neither single numbers nor one image.
    """
    if signature.takes("image"):
        return False
    if all(feature.kind == "number" and feature.is_scalar for feature in signature.inputs.values()):
        return True
    raise UserError(
        f"predictions need one image or single numbers as inputs. The run's model is {signature.describe()}. In "
        "Python, call it with arrays by name: kerasdl.load(...)({...})."
    )


def predict(
    model: "keras.Model | Network",
    signature: "Signature",
    inputs: Any,
    *,
    batch_size: int = 64,
    top: int = 3,
    invert: bool = False,
    background: str = "white",
    stdin: BinaryIO | None = None,
    note: Callable[[str], None] | None = None,
) -> Iterator[Prediction]:
    """Returns the predictions for pictures or rows, in order, each batch when it is asked for.

    Args:
        model: what was handed over. A Keras model is compiled here; for repeated calls, pass the result of `compiled`.
        signature: the model's inputs and outputs.
        inputs: for images paths, patterns, arrays, Pillow images, see `kerasdl.images.read`; for numbers a CSV or
            `.npy` file, a DataFrame, arrays by name, see `kerasdl.trained.tables.read`.
        batch_size: examples a call of the model, >= 1.
        top: classes named in `Prediction.top`, >= 1; at most as many as there are.
        invert, background: of pictures, see `kerasdl.images.read`.
        stdin: what `-` reads.
        note: receives a line on anything that is left out.

    Raises:
        DataError: `inputs` names a file that doesn't exist, or a table without a column that the model takes.
        UserError: the model takes other inputs.
    """
    network = compiled(model, signature) if hasattr(model, "input_shape") else model
    items = read(inputs, signature, invert=invert, background=background, stdin=stdin, note=note, ahead=batch_size)
    return itertools.chain.from_iterable(in_batches(network, signature, items, batch_size, top))


def read(
    inputs: Any,
    signature: "Signature",
    *,
    invert: bool = False,
    background: str = "white",
    stdin: BinaryIO | None = None,
    note: Callable[[str], None] | None = None,
    ahead: int = 64,
) -> Iterator[Example]:
    """Returns a model's inputs, in order, each example read when it is asked for; see `predict`."""
    if takes_table(signature):
        rows = tables.read(inputs, list(signature.inputs), stdin=stdin, note=note)
        return (Example(row.name, row.values, row.error) for row in rows)  # type: ignore[arg-type]
    (name,) = signature.inputs
    pictures = images.read(
        inputs, signature.image.shape, invert=invert, background=background, stdin=stdin, note=note, ahead=ahead
    )
    return (Example(item.name, None if item.pixels is None else {name: item.pixels}, item.error) for item in pictures)


def in_batches(
    network: Network, signature: "Signature", items: Iterable[Example], batch_size: int = 64, top: int = 3
) -> Iterator[list[Prediction]]:
    """Yields the predictions for `items` in lists of `batch_size`, the last one shorter; see `predict`."""
    for batch in images.batched(items, batch_size):
        given = [item.values for item in batch if item.values is not None]
        outputs = network({name: np.stack([each[name] for each in given]) for name in given[0]}) if given else {}
        rows = ({name: values[row] for name, values in outputs.items()} for row in range(len(given)))
        yield [
            Prediction(item.name, error=item.error)
            if item.values is None
            else _prediction(item.name, next(rows), signature, top)
            for item in batch
        ]


def compiled(model: "keras.Model", signature: "Signature") -> Network:
    """Returns the model as a function of arrays that is traced once, whatever the number of examples.

    Returns:
        A function from arrays (b, *shape) by the names of the inputs to float32 arrays by the names of the outputs:
        (b, classes) for a label, else (b, *shape).
    """
    import tensorflow as tf

    takes = {name: tf.TensorSpec([None, *feature.shape], feature.dtype) for name, feature in signature.inputs.items()}

    @tf.function(input_signature=[takes], autograph=False)
    def outputs(values: Mapping[str, tf.Tensor]) -> Any:
        given = model(values if len(values) > 1 else next(iter(values.values())), training=False)
        if not isinstance(given, Mapping):
            given = dict.fromkeys(signature.outputs, given)
        floats = {name: tf.cast(given[name], tf.float32) for name in signature.outputs}
        return {
            name: floats[name] if feature.kind == "label" else tf.reshape(floats[name], [-1, *feature.shape])
            for name, feature in signature.outputs.items()
        }

    def call(values: Arrays) -> Arrays:
        found = outputs({name: tf.constant(values[name]) for name in takes})
        return {name: found[name].numpy() for name in signature.outputs}

    return call


def _prediction(name: str, outputs: Arrays, signature: "Signature", top: int) -> Prediction:
    is_label = signature.gives("label")
    for output, values in outputs.items():
        if not np.isfinite(values).all():
            what = "probabilities for it aren't" if is_label else f"{output} for it isn't"
            return Prediction(name, error=f"the network's {what} finite")
    if not is_label:
        return Prediction(name, outputs=outputs)
    (probabilities,) = outputs.values()
    best = np.argsort(-probabilities, kind="stable")[:top]
    named = tuple((signature.class_names[i], shortest(probabilities[i])) for i in best)
    return Prediction(name, named, probabilities, outputs=outputs)


def shortest(value: np.float32) -> float:
    """Returns the float with the fewest digits that rounds to `value` in float32: 0.1, not 0.10000000149011612."""
    return float(str(value))
