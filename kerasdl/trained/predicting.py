"""Predictions of a trained network, streamed: batches of pictures in, one `Prediction` a picture out, in order."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from kerasdl import images
from kerasdl.images import Input, Item

if TYPE_CHECKING:
    import keras

Network = Callable[[np.ndarray], np.ndarray]  # uint8 [b, h, w, c] -> float32 [b, classes]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A network's prediction for a picture, or why there is none.

    Attributes:
        name: the picture's: a path, `digits.npy[12]`, `inputs[3]`, `-`.
        top: the most probable classes and their probabilities in [0, 1], best first; of equal ones, the first class.
        probabilities: float32 [classes], in the order of the classes; None if there is an error.
        error: the reason, in a few words; None if there is a prediction.
    """

    name: str
    top: tuple[tuple[str, float], ...] = ()
    probabilities: np.ndarray | None = None
    error: str | None = None

    @property
    def class_name(self) -> str | None:
        """The most probable class."""
        return self.top[0][0] if self.top else None

    @property
    def probability(self) -> float | None:
        """The probability of `class_name`, in [0, 1]."""
        return self.top[0][1] if self.top else None


def predict(
    model: "keras.Model | Network",
    class_names: Sequence[str],
    image_shape: Sequence[int],
    inputs: Input | Iterable[Input],
    *,
    batch_size: int = 64,
    top: int = 3,
    invert: bool = False,
    background: str = "white",
    stdin: BinaryIO | None = None,
    note: Callable[[str], None] | None = None,
) -> Iterator[Prediction]:
    """Returns the predictions for pictures, in order, each batch when it is asked for.

    Args:
        model: from uint8 [b, h, w, c] to class probabilities. A Keras model is compiled here; who calls often hands
            over the result of `compiled`.
        class_names: one name a class.
        image_shape: (height, width, channels) of what the model takes.
        inputs: paths, patterns, arrays, Pillow images, see `kerasdl.images.read`; so are `invert`, `background`,
            `stdin` and `note`.
        batch_size: pictures a call of the model, >= 1.
        top: classes named in `Prediction.top`, >= 1; at most as many as there are.

    Raises:
        DataError: `inputs` is a text that names a file or pattern that isn't there.
    """
    network = compiled(model, image_shape) if hasattr(model, "input_shape") else model
    items = images.read(
        inputs, image_shape, invert=invert, background=background, stdin=stdin, note=note, ahead=batch_size
    )
    return itertools.chain.from_iterable(in_batches(network, class_names, items, batch_size, top))


def in_batches(
    network: Network, class_names: Sequence[str], items: Iterable[Item], batch_size: int = 64, top: int = 3
) -> Iterator[list[Prediction]]:
    """Yields the predictions for `items` in lists of `batch_size`, the last one shorter; see `predict`."""
    for batch in images.batched(items, batch_size):
        pixels = [item.pixels for item in batch if item.pixels is not None]
        rows = iter(network(np.stack(pixels)) if pixels else ())
        yield [
            Prediction(item.name, error=item.error)
            if item.pixels is None
            else _prediction(item.name, next(rows), class_names, top)
            for item in batch
        ]


def compiled(model: "keras.Model", image_shape: Sequence[int]) -> Network:
    """Returns the model as a function of arrays that is traced once, whatever the number of pictures.

    Args:
        model: from uint8 [b, h, w, c] to class probabilities.
        image_shape: (height, width, channels).

    Returns:
        A function from uint8 [b, h, w, c] to float32 [b, classes].
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, *image_shape], tf.uint8)], autograph=False)
    def probabilities(pixels: tf.Tensor) -> Any:
        return tf.cast(model(pixels, training=False), tf.float32)

    return lambda pixels: probabilities(pixels).numpy()


def _prediction(name: str, probabilities: np.ndarray, class_names: Sequence[str], top: int) -> Prediction:
    if not np.isfinite(probabilities).all():
        return Prediction(name, error="the network's probabilities for it aren't finite")
    best = np.argsort(-probabilities, kind="stable")[:top]
    return Prediction(name, tuple((class_names[i], shortest(probabilities[i])) for i in best), probabilities)


def shortest(value: np.float32) -> float:
    """Returns the float with the fewest digits that is `value` again as float32: 0.1, not 0.10000000149011612."""
    return float(str(value))
