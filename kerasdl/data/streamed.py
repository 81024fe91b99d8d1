"""A split that is read from disk as it is needed: deterministic, and seekable without decoding what is skipped.

Encoded images are read in the order of `WindowedOrder`, shuffled a window at a time while they are still encoded, and
only then decoded, in parallel but in order. Examples of another split (those held out for validation) are dropped
before they are decoded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from kerasdl.data.order import WindowedOrder, runs
from kerasdl.data.source import Example, Segment, Source
from kerasdl.data.splits import Batch, batch_spec

_MIN_BLOCKS = 16


class StreamedSplit:
    """Batches from tf.data; see `kerasdl.data.splits.Split`.

    Args:
        name: `"train"`, `"validation"` or `"test"`.
        source: the data set, prepared.
        segments: the split of the source that it is read from.
        indices: int64 (size,), which examples of that split it has, ascending.
        columns: the scalar features of all examples of that split, (n,) each.
        seed: the run's seed.
        shuffle: a new order every epoch; False keeps the order of the files.
        window: examples shuffled among themselves.
        batch_size: examples per batch.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        segments: Sequence[Segment],
        indices: np.ndarray,
        columns: Mapping[str, np.ndarray],
        *,
        seed: int,
        shuffle: bool,
        window: int,
        batch_size: int,
    ) -> None:
        self.name = name
        self.features = source.info.features
        self.size = len(indices)
        self.batch_size = batch_size
        self.steps = -(-self.size // batch_size)
        self._source = source
        self._segments = segments
        self._columns = columns
        # Without shuffling a window is only used for seeking, for which a batch is the right size.
        window = window if shuffle else batch_size
        total = sum(map(len, segments))
        self._order = WindowedOrder(indices, seed, shuffle, window, _block_starts(source, segments), total)
        self._fixed: tf.data.Dataset | None = None

    @property
    def handle_spec(self) -> tf.TypeSpec:
        """The type of `epoch`'s result: an iterator over batches."""
        return tf.data.IteratorSpec(batch_spec(self.features))

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Returns an iterator over the batches of that epoch from `start_step` on.

        Reading begins at the window of the first example needed: earlier ones are neither read nor decoded, and the
        examples skipped in that window aren't decoded.
        """
        if self._order.shuffle or start_step:
            return iter(self._batches(epoch, start_step))
        self._fixed = self._fixed or self._batches(epoch, 0)  # making a dataset costs a tenth of a second
        return iter(self._fixed)

    def batch(self, handle: Iterator[Batch], step: tf.Tensor | int) -> Batch:
        """Returns the next batch, which is `step`'s: for each feature a tensor (b, *shape)."""
        del step
        return next(handle)

    def indices(self, epoch: int, step: int) -> np.ndarray:
        """Returns int64 (b,): positions of the batch's examples in the source's split."""
        return self._order.epoch(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def column(self, name: str) -> np.ndarray:
        """Returns a scalar feature of all examples, (size,), in the order in which they are stored."""
        return self._columns[name][self._order.indices]

    def _batches(self, epoch: int, start_step: int) -> tf.data.Dataset:
        window = self._order.window
        first, skip = divmod(start_step * self.batch_size, window)
        permutations = [self._order.within(epoch, w) for w in range(first, -(-self.size // window))]
        windows = tf.data.Dataset.zip(
            self._read(*self._order.reading(epoch, first)).batch(window),
            tf.data.Dataset.from_tensor_slices(np.concatenate(permutations)).batch(window),
        )

        @_as_written
        def decode(stored: Example) -> Example:
            return self._source.decode(stored)

        return (
            windows.map(_permuted)
            .prefetch(1)
            .unbatch()
            .skip(skip)
            .map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(self.batch_size)
            .prefetch(tf.data.AUTOTUNE)
        )

    def _read(self, reading: np.ndarray, kept: np.ndarray) -> tf.data.Dataset:
        """Returns those examples at `reading` that are `kept`, as they are stored, in that order."""
        parts = [part for start, stop in runs(reading) for part in _located(self._segments, start, stop)]
        examples = self._source.stream(parts)
        if kept.all():
            return examples
        return tf.data.Dataset.zip(examples, tf.data.Dataset.from_tensor_slices(kept)).filter(_is_kept).map(_example)


# AutoGraph isn't needed in these functions, and would warn that it can't read some of them.
_as_written = tf.autograph.experimental.do_not_convert


@_as_written
def _permuted(examples: Example, permutation: tf.Tensor) -> Example:
    return {name: tf.gather(values, permutation) for name, values in examples.items()}


@_as_written
def _is_kept(example: Example, kept: tf.Tensor) -> tf.Tensor:
    return kept


@_as_written
def _example(example: Example, kept: tf.Tensor) -> Example:
    return example


def _located(segments: Sequence[Segment], start: int, stop: int) -> Iterator[Segment]:
    """Yields the examples [start, stop) of the concatenated `segments` as segments of their own splits."""
    offset = 0
    for segment in segments:
        size = segment.stop - segment.start
        low, high = max(start - offset, 0), min(stop - offset, size)
        if low < high:
            yield replace(segment, start=segment.start + low, stop=segment.start + high)
        offset += size


def _block_starts(source: Source, segments: Sequence[Segment]) -> np.ndarray:
    """Returns where blocks begin: where reading may begin at little cost, and in between if such places are few."""
    starts, offset = [0], 0
    for segment in segments:
        pieces = np.cumsum([0, *source.blocks(segment.split)])
        inside = pieces[(pieces > segment.start) & (pieces < segment.stop)] - segment.start
        starts += [offset, *(inside + offset)]
        offset += segment.stop - segment.start
    bounds = np.unique([*starts, offset])
    parts = -(-_MIN_BLOCKS // (len(bounds) - 1))
    cuts = [np.linspace(low, high, parts, endpoint=False) for low, high in zip(bounds[:-1], bounds[1:], strict=True)]
    return np.unique(np.concatenate(cuts).astype(np.int64))
