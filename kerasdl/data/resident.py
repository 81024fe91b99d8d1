"""A split whose decoded images are held in memory: a batch is a gather by index inside the compiled loop."""

import math

import numpy as np
import tensorflow as tf

from kerasdl.data.order import WholeOrder


def pack(images: np.ndarray) -> tf.Tensor:
    """Returns images uint8 [n, height, width, channels] as words int64 [n, ceil(bytes of an image / 8)].

    TensorFlow can gather 64-bit integers on a GPU, but not bytes: those it would fetch to the host, all of them, at
    every step.
    """
    rows = images.reshape(len(images), -1)
    missing = -rows.shape[1] % 8
    if missing:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    return tf.constant(rows.view(np.int64))


class ResidentSplit:
    """Batches from tensors; see `kerasdl.data.info.Split`.

    Splits that come from the same TFDS split share its tensors, so that nothing is held twice.

    Args:
        name: `"train"`, `"validation"` or `"test"`.
        words: the images of a whole TFDS split, from `pack`.
        labels: int64 [n].
        order: the order of this split's examples; its indices are positions in `words`.
        image_shape: (height, width, channels).
        batch_size: examples a batch.
        classes: number of classes.
    """

    def __init__(
        self,
        name: str,
        words: tf.Tensor,
        labels: tf.Tensor,
        order: WholeOrder,
        *,
        image_shape: tuple[int, int, int],
        batch_size: int,
        classes: int,
    ) -> None:
        self.name = name
        self.size = len(order.indices)
        self.batch_size = batch_size
        self.steps = -(-self.size // batch_size)
        self.image_shape = image_shape
        self._words = words
        self._labels = labels
        self._order = order
        self._classes = classes

    @property
    def handle_spec(self) -> tf.TensorSpec:
        """The type of `epoch`'s result: int32 [size]."""
        return tf.TensorSpec([self.size], tf.int32)

    def epoch(self, epoch: int, start_step: int = 0) -> tf.Tensor:
        """Returns int32 [size]: the order of the whole epoch, whatever `start_step` is."""
        del start_step
        return tf.constant(self._order.epoch(epoch), tf.int32)

    def batch(self, handle: tf.Tensor, step: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns images uint8 [b, height, width, channels] and labels int64 [b] of batch `step`."""
        begin = tf.cast(step, tf.int32) * self.batch_size
        chosen = handle[begin : begin + self.batch_size]
        pixels = tf.reshape(tf.bitcast(tf.gather(self._words, chosen), tf.uint8), [-1, self._words.shape[1] * 8])
        images = tf.reshape(pixels[:, : math.prod(self.image_shape)], [-1, *self.image_shape])
        return images, tf.gather(self._labels, chosen)

    def indices(self, epoch: int, step: int) -> np.ndarray:
        """Returns int64 [b]: where the examples of that batch stand in the TFDS split."""
        return self._order.epoch(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def class_counts(self) -> np.ndarray:
        """Returns int64 [classes]: how many examples each class has."""
        return np.bincount(self._labels.numpy()[self._order.indices], minlength=self._classes).astype(np.int64)
