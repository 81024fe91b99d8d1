"""The interface of a data set: its features, splits and contents, and its examples by position.

A kind of data is a class in one file, named by `data._target_` and made from the `data` node of the configuration:
`kerasdl.data.tfds` reads any TFDS data set of images, `kerasdl.data.sklearn_table` a table of scikit-learn. What is
read, in which order and in which batches is decided by `kerasdl.data.loading`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kerasdl.data.features import Features
from kerasdl.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

Report = Callable[[str], None]  # receives lines of progress
Example = dict[str, "tf.Tensor"]


@dataclass(frozen=True)
class DataInfo:
    """The metadata of a data set.

    Attributes:
        name: `"mnist"`; with the config of a TFDS data set that has configs: `"emnist/digits"`.
        version: `"3.0.1"`.
        features: of an example.
        uri: its origin, for MLflow: `tfds://mnist/3.0.1`.
        fingerprint: identifies the data by its contents, at most 36 characters; empty until the data is prepared.
        licence: as the data set or this package states it; empty where neither does.
        citation: BibTeX.
        former_fingerprint: the fingerprint that earlier versions recorded for the same data; empty if they had none.
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
        """Returns a copy with fingerprints."""
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
        info: its metadata.
        splits: number of examples of each split; empty until it is prepared, unless the metadata has it.
    """

    info: DataInfo

    @property
    def splits(self) -> Mapping[str, int]: ...

    def check_files(self) -> None:
        """Raises DataError if the data isn't prepared and can't be: files are missing, and there is no network."""

    def prepared(self, cache_dir: str, report: Report) -> "Source":
        """Returns the source with its data on this machine and its fingerprint; slow work is done once.

        Args:
            cache_dir: where to keep files that make the next run faster.
            report: receives lines of progress.

        Raises:
            DataError: the data isn't available or can't be read.
        """

    def read(self, spec: str, segments: Sequence[Segment], names: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns some features of all examples of `segments`, in order: for each name an array (n, *shape).

        Args:
            spec: the split as the configuration names it, for messages and file names.
            segments: what it reads.
            names: the features to return.

        Raises:
            DataError: an example can't be read, or doesn't match the features.
        """

    def stream(self, segments: Sequence[Segment]) -> "tf.data.Dataset":
        """Returns the examples of `segments`, in order, as they are stored: dicts that `decode` takes."""

    def decode(self, stored: Example) -> Example:
        """Returns a stored example with values as in `info.features`, in the graph."""

    def blocks(self, split: str) -> Sequence[int]:
        """Returns the sizes of a split's consecutive pieces at whose starts reading may begin at little cost."""


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
    # Every source uses TFDS's syntax. It only needs the sizes of the splits, here as single shards.
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
