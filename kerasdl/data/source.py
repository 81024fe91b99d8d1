"""What every kind of data set answers: its features, its splits, its contents, and examples by position.

A kind of data is a class in one file, named by `data._target_` and made from the `data` node of the configuration:
`kerasdl.data.tfds` reads any TFDS set of images, `kerasdl.data.sklearn_table` a table that scikit-learn carries. What
is read, in which order and in which batches is decided above it (`kerasdl.data.loading`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kerasdl.data.features import Features
from kerasdl.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

Report = Callable[[str], None]  # takes one line of progress
Example = dict[str, "tf.Tensor"]


@dataclass(frozen=True)
class DataInfo:
    """What is known of a data set from its metadata.

    Attributes:
        name: `"mnist"`; of a TFDS set with its config, if it has one: `"emnist/digits"`.
        version: `"3.0.1"`.
        features: of an example.
        uri: where it is from, for MLflow: `tfds://mnist/3.0.1`.
        fingerprint: identifies the data by its contents, at most 36 characters; empty until the data is prepared.
        licence: as the data set or this package states it; empty where neither does.
        citation: BibTeX.
        former_fingerprint: what earlier versions recorded of the same data; empty where they didn't know it.
    """

    name: str
    version: str
    features: Features
    uri: str
    fingerprint: str = ""
    licence: str = ""
    citation: str = ""
    former_fingerprint: str = ""

    def identified(self, fingerprint: str, former: str = "") -> "DataInfo":
        """Returns the same with its fingerprints."""
        return replace(self, fingerprint=fingerprint, former_fingerprint=former)


@dataclass(frozen=True)
class Segment:
    """A run of consecutive examples [start, stop) of one of the source's splits."""

    split: str
    start: int
    stop: int

    def __len__(self) -> int:
        return max(self.stop - self.start, 0)


class Source(Protocol):
    """A data set. Made from the `data` node of the configuration, in a second and without TensorFlow.

    Attributes:
        info: what its metadata says.
        splits: examples of each split; empty until it is prepared, unless its metadata says it before.
    """

    info: DataInfo

    @property
    def splits(self) -> Mapping[str, int]: ...

    def check_files(self) -> None:
        """Raises DataError if the data is neither prepared nor can be: files are missing, and there is no network."""

    def prepared(self, cache_dir: str, report: Report) -> "Source":
        """Returns the source with its data on this machine and its fingerprint; what takes long is done once.

        Args:
            cache_dir: where to keep what makes the next run quicker.
            report: takes one line of progress.

        Raises:
            DataError: the data can't be had or read.
        """

    def read(self, spec: str, segments: Sequence[Segment], names: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns some features of all examples of `segments`, in order: for each name an array (n, *shape).

        Args:
            spec: the split as the configuration names it, for messages and file names.
            segments: what it reads.
            names: the features that are wanted.

        Raises:
            DataError: an example can't be read, or isn't what the features say.
        """

    def stream(self, segments: Sequence[Segment]) -> "tf.data.Dataset":
        """Returns the examples of `segments`, in order, as they are stored: dicts that `decode` takes."""

    def decode(self, stored: Example) -> Example:
        """Returns a stored example as the features say, in the graph."""

    def blocks(self, split: str) -> Sequence[int]:
        """Returns the sizes of the pieces of a split in which reading may begin at little cost; they add up to it."""


def segments(source: Source, spec: str, key: str) -> list[Segment]:
    """Returns what a split such as `"train"`, `"train[80%:]"` or `"train+extra"` reads, in order.

    Args:
        source: whose splits are known.
        spec: the split, in TFDS's syntax.
        key: the configuration key that it came from, for the error.

    Raises:
        DataError: no such split, or a slice that doesn't fit it.
    """
    from tensorflow_datasets.core.splits import AbstractSplit, SplitDict, SplitInfo

    sizes, title = source.splits, f"{source.info.name}/{source.info.version}"
    # TFDS's own grammar for every source; of a split it only needs the size, here as a single shard.
    known = SplitDict([SplitInfo(name=name, shard_lengths=[size], num_bytes=0) for name, size in sizes.items()])
    try:
        absolute = AbstractSplit.from_spec(spec).to_absolute(known)
    except ValueError as error:
        names = ", ".join(f"{name} ({size:,})" for name, size in sizes.items())
        reason = "" if _base_names(spec) - set(sizes) else f" {str(error).strip().splitlines()[-1]}"
        raise DataError(
            f"{key} must be a split of {title}, which has {names}, or a slice of one such as "
            f"'{next(iter(sizes))}[80%:]'. Received: {spec!r}.{reason}"
        ) from error
    found = []
    for part in absolute:
        start, stop, _ = slice(part.from_, part.to).indices(sizes[part.splitname])
        found.append(Segment(part.splitname, start, stop))
    if not any(map(len, found)):
        raise DataError(f"{key} selects no examples of {title}. Received: {spec!r}.")
    return found


def _base_names(spec: str) -> set[str]:
    return {part.split("[")[0].strip() for part in spec.split("+")}
