"""A split whose decoded examples are held in memory: a batch is a gather by index inside the compiled loop."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasdl.data.features import Feature, Features
from kerasdl.data.order import WholeOrder
from kerasdl.data.splits import Batch


class Column(NamedTuple):
    """A feature of many examples as a tensor that a GPU can gather from.

    TensorFlow can gather 64-bit integers on a GPU, but not bytes: it would copy all of them to the host at every
    step. So bytes are packed into words, int64 (n, ceil(bytes of an example / 8)).
    """

    feature: Feature
    values: tf.Tensor

    @classmethod
    def of(cls, feature: Feature, values: np.ndarray) -> "Column":
        """Returns the column of `values`, (n, *feature.shape)."""
        if feature.dtype != "uint8":
            return cls(feature, tf.constant(values))
        rows = values.reshape(len(values), -1)
        missing = -rows.shape[1] % 8
        if missing:
            rows = np.pad(rows, ((0, 0), (0, missing)))
        return cls(feature, tf.constant(rows.view(np.int64)))

    def gather(self, chosen: tf.Tensor) -> tf.Tensor:
        """Returns the examples at the positions `chosen`, integers (b,), as (b, *shape)."""
        gathered = tf.gather(self.values, chosen)
        if self.feature.dtype != "uint8":
            return gathered
        unpacked = tf.reshape(tf.bitcast(gathered, tf.uint8), [-1, self.values.shape[1] * 8])
        return tf.reshape(unpacked[:, : math.prod(self.feature.shape)], [-1, *self.feature.shape])


class ResidentSplit:
    """Batches from tensors; see `kerasdl.data.splits.Split`.

    Splits that come from the same split of the source share its columns, so that no data is held twice.

    Args:
        name: `"train"`, `"validation"` or `"test"`.
        features: of an example.
        columns: each feature of a whole split of the source.
        order: the order of this split's examples; its indices are positions in the columns.
        batch_size: examples per batch.
    """

    def __init__(
        self, name: str, features: Features, columns: Mapping[str, Column], order: WholeOrder, batch_size: int
    ) -> None:
        self.name = name
        self.features = features
        self.size = len(order.indices)
        self.batch_size = batch_size
        self.steps = -(-self.size // batch_size)
        self._columns = columns
        self._order = order

    @property
    def handle_spec(self) -> tf.TensorSpec:
        """The type of `epoch`'s result: int32 (size,)."""
        return tf.TensorSpec([self.size], tf.int32)

    def epoch(self, epoch: int, start_step: int = 0) -> tf.Tensor:
        """Returns int32 (size,): the order of the whole epoch, whatever `start_step` is."""
        del start_step
        return tf.constant(self._order.epoch(epoch), tf.int32)

    def batch(self, handle: tf.Tensor, step: tf.Tensor | int) -> Batch:
        """Returns batch `step`: for each feature a tensor (b, *shape)."""
        begin = tf.cast(step, tf.int32) * self.batch_size
        chosen = handle[begin : begin + self.batch_size]
        return {name: column.gather(chosen) for name, column in self._columns.items()}

    def indices(self, epoch: int, step: int) -> np.ndarray:
        """Returns int64 (b,): positions of the batch's examples in the source's split."""
        return self._order.epoch(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def column(self, name: str) -> np.ndarray:
        """Returns a scalar feature of all examples, (size,), in the order in which they are stored."""
        return self._columns[name].values.numpy()[self._order.indices]
