"""The order of examples: a pure function of (seed, epoch), so that training can start at any step of any epoch.

Data in memory is permuted as a whole. Data on disk is read in runs: blocks of consecutive examples are permuted, and
each of the consecutive windows of the result is shuffled within itself. Windows are independent, so that reading can
begin at the window of the first step needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kerasdl import seeds


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Returns the random generator for one purpose; the same on every platform and NumPy version that has Philox."""
    return np.random.Generator(np.random.Philox(key=seeds.derive(seed, *names)))


@dataclass(frozen=True, eq=False)
class WholeOrder:
    """One permutation of all examples an epoch.

    Attributes:
        indices: int64 [size], position of each example of the split in the source's split, ascending.
        seed: the run's seed.
        shuffle: False keeps `indices` as they are, in every epoch.
    """

    indices: np.ndarray
    seed: int
    shuffle: bool
    _latest: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def epoch(self, epoch: int) -> np.ndarray:
        """Returns int64 [size]: the indices in the order of that epoch; the latest one asked for is kept."""
        if not self.shuffle:
            return self.indices
        if epoch not in self._latest:
            self._latest.clear()
            self._latest[epoch] = self.indices[generator(self.seed, "order", epoch).permutation(len(self.indices))]
        return self._latest[epoch]


@dataclass(frozen=True, eq=False)
class WindowedOrder:
    """Permuted blocks, then windows shuffled each within itself.

    Attributes:
        indices: int64 [size], position of each example of the split in the source's split, ascending.
        seed: the run's seed.
        shuffle: False keeps `indices` as they are, in every epoch.
        window: examples a window, >= 1.
        block_starts: int64 [blocks], ascending, the first 0: where each block of the source's split begins.
        total: number of examples in the source's split.
    """

    indices: np.ndarray
    seed: int
    shuffle: bool
    window: int
    block_starts: np.ndarray
    total: int
    _kept: np.ndarray = field(init=False, repr=False)
    _latest: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        kept = np.zeros(self.total, dtype=bool)
        kept[self.indices] = True
        object.__setattr__(self, "_kept", kept)

    def reading(self, epoch: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Returns what is read from disk for the windows from `first` on, in order.

        Returns:
            (reading int64 [n], kept bool [n]): positions in the source's split, and which of them belong to this split.
            Examples before the first or after the last kept example of a block are left out.
        """
        stops = np.append(self.block_starts[1:], self.total)
        blocks = np.arange(len(self.block_starts))
        if self.shuffle:
            blocks = generator(self.seed, "blocks", epoch).permutation(blocks)
        begins = np.searchsorted(self.indices, self.block_starts[blocks])
        ends = np.searchsorted(self.indices, stops[blocks])
        spans = [
            np.arange(self.indices[b], self.indices[e - 1] + 1) for b, e in zip(begins, ends, strict=True) if b < e
        ]
        order = np.concatenate(spans)
        kept = self._kept[order]
        begin = np.flatnonzero(kept)[first * self.window]
        return order[begin:], kept[begin:]

    def within(self, epoch: int, window: int) -> np.ndarray:
        """Returns int64 [examples of that window]: how the examples of a window, as read, are permuted."""
        size = min(self.window, len(self.indices) - window * self.window)
        if not self.shuffle:
            return np.arange(size)
        return generator(self.seed, "order", epoch, window).permutation(size)

    def epoch(self, epoch: int) -> np.ndarray:
        """Returns int64 [size]: the indices in the order of that epoch; the latest one asked for is kept."""
        if not self.shuffle:
            return self.indices
        if epoch not in self._latest:
            reading, kept = self.reading(epoch)
            order = reading[kept]
            windows = [order[at : at + self.window] for at in range(0, len(order), self.window)]
            self._latest.clear()
            self._latest[epoch] = np.concatenate([w[self.within(epoch, k)] for k, w in enumerate(windows)])
        return self._latest[epoch]


def runs(indices: np.ndarray) -> Sequence[tuple[int, int]]:
    """Returns the maximal runs [start, stop) of consecutive ascending integers in `indices`, in order.

    Example:
        >>> runs(np.array([4, 5, 6, 0, 1]))
        [(4, 7), (0, 2)]
    """
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(indices, breaks) if len(part)]
