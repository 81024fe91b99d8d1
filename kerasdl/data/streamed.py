"""A split that is read from disk as it is needed: deterministic, and seekable without decoding what is skipped.

Encoded images are read in the order of `WindowedOrder`, shuffled a window at a time while they are still encoded, and
only then decoded, in parallel but in order. What isn't of this split (a part held out for validation) is dropped before
it is decoded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from kerasdl.data.catalog import Entry, Segment
from kerasdl.data.decoding import decoder, encoded
from kerasdl.data.order import WindowedOrder, runs

_MIN_BLOCKS = 16


class StreamedSplit:
    """Batches from tf.data; see `kerasdl.data.info.Split`.

    Args:
        name: `"train"`, `"validation"` or `"test"`.
        entry: the data set, prepared.
        segments: the TFDS split that it is read from.
        indices: int64 [size], which examples of that TFDS split it has, ascending.
        labels: int64 [n], the labels of that TFDS split.
        seed: the run's seed.
        shuffle: a new order every epoch, or always the natural one.
        window: examples shuffled among themselves.
        batch_size: examples a batch.
    """

    def __init__(
        self,
        name: str,
        entry: Entry,
        segments: Sequence[Segment],
        indices: np.ndarray,
        labels: np.ndarray,
        *,
        seed: int,
        shuffle: bool,
        window: int,
        batch_size: int,
    ) -> None:
        self.name = name
        self.size = len(indices)
        self.batch_size = batch_size
        self.steps = -(-self.size // batch_size)
        self.image_shape = entry.info.image_shape
        self._entry = entry
        self._segments = segments
        self._labels = labels
        total = sum(segment.stop - segment.start for segment in segments)
        # Without shuffling a window serves seeking alone: a batch is the right size for that.
        window = window if shuffle else batch_size
        self._order = WindowedOrder(indices, seed, shuffle, window, _block_starts(entry, segments), total)
        self._fixed: tf.data.Dataset | None = None

    @property
    def handle_spec(self) -> tf.TypeSpec:
        """The type of `epoch`'s result: an iterator over (images, labels)."""
        return tf.data.IteratorSpec(
            (tf.TensorSpec([None, *self.image_shape], tf.uint8), tf.TensorSpec([None], tf.int64))
        )

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Returns an iterator over the batches of that epoch from `start_step` on.

        Reading begins at the window that holds the first example wanted: what comes before it is neither read nor
        decoded, and the examples skipped within it aren't decoded.
        """
        if self._order.shuffle or start_step:
            return iter(self._batches(epoch, start_step))
        self._fixed = self._fixed or self._batches(epoch, 0)  # making a dataset costs a tenth of a second
        return iter(self._fixed)

    def batch(self, handle: Iterator, step: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns images uint8 [b, height, width, channels] and labels int64 [b]: the next batch, which is `step`'s."""
        del step
        return next(handle)

    def indices(self, epoch: int, step: int) -> np.ndarray:
        """Returns int64 [b]: where the examples of that batch stand in the TFDS split."""
        return self._order.epoch(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def class_counts(self) -> np.ndarray:
        """Returns int64 [classes]: how many examples each class has."""
        return np.bincount(self._labels[self._order.indices], minlength=self._entry.info.classes).astype(np.int64)

    def _batches(self, epoch: int, start_step: int) -> tf.data.Dataset:
        window = self._order.window
        first, skip = divmod(start_step * self.batch_size, window)
        permutations = [self._order.within(epoch, w) for w in range(first, -(-self.size // window))]
        windows = tf.data.Dataset.zip(
            self._read(*self._order.reading(epoch, first)).batch(window),
            tf.data.Dataset.from_tensor_slices(np.concatenate(permutations)).batch(window),
        )
        decode = decoder(self._entry)

        @_as_written
        def decode_image(data: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return decode(data), label

        return (
            windows.map(_permuted)
            .prefetch(1)
            .unbatch()
            .skip(skip)
            .map(decode_image, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(self.batch_size)
            .prefetch(tf.data.AUTOTUNE)
        )

    def _read(self, reading: np.ndarray, kept: np.ndarray) -> tf.data.Dataset:
        """Returns (encoded image, label) of those examples at `reading` that are `kept`, in that order."""
        parts = [part for start, stop in runs(reading) for part in _located(self._segments, start, stop)]
        examples = encoded(self._entry, parts)
        if kept.all():
            return examples
        return tf.data.Dataset.zip(examples, tf.data.Dataset.from_tensor_slices(kept)).filter(_is_kept).map(_example)


# AutoGraph, which has nothing to do in these functions, would warn that it can't read some of them.
_as_written = tf.autograph.experimental.do_not_convert


@_as_written
def _permuted(example: tuple[tf.Tensor, tf.Tensor], permutation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    data, label = example
    return tf.gather(data, permutation), tf.gather(label, permutation)


@_as_written
def _is_kept(example: tuple[tf.Tensor, tf.Tensor], kept: tf.Tensor) -> tf.Tensor:
    return kept


@_as_written
def _example(example: tuple[tf.Tensor, tf.Tensor], kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return example


def _located(segments: Sequence[Segment], start: int, stop: int) -> Iterator[Segment]:
    """Yields where the examples [start, stop) of the concatenated `segments` stand in their own splits."""
    offset = 0
    for segment in segments:
        size = segment.stop - segment.start
        low, high = max(start - offset, 0), min(stop - offset, size)
        if low < high:
            yield replace(segment, start=segment.start + low, stop=segment.start + high)
        offset += size


def _block_starts(entry: Entry, segments: Sequence[Segment]) -> np.ndarray:
    """Returns where blocks begin: at each file, since one is read from its start, and inside files if those are few."""
    starts, offset = [0], 0
    for segment in segments:
        files = np.cumsum([0, *entry.builder.info.splits[segment.split].shard_lengths])
        inside = files[(files > segment.start) & (files < segment.stop)] - segment.start
        starts += [offset, *(inside + offset)]
        offset += segment.stop - segment.start
    bounds = np.unique([*starts, offset])
    pieces = -(-_MIN_BLOCKS // (len(bounds) - 1))
    cuts = [np.linspace(low, high, pieces, endpoint=False) for low, high in zip(bounds[:-1], bounds[1:], strict=True)]
    return np.unique(np.concatenate(cuts).astype(np.int64))
