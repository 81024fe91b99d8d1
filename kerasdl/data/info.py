"""What a loaded data set looks like to the rest of the program.

Only shapes of things live here: the two kinds of split are in `kerasdl.data.resident` and `kerasdl.data.streamed`, and
both satisfy `Split`, so that the loop needn't know where a batch comes from.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class DataInfo:
    """What is known of a data set from its metadata.

    Attributes:
        name: TFDS's name, with the builder's config if it has one: `"mnist"`, `"emnist/digits"`.
        version: TFDS's version, `"3.0.1"`.
        fingerprint: identifies the prepared data by its contents (name, version, classes, and the bytes of each
            split's shards): `sha256-` and 24 hexadecimal digits; empty until the data is loaded.
        image_shape: (height, width, channels) of what `Split.batch` gives.
        class_names: one name a class, in the order of the labels.
        licence: the licence as TFDS or this package states it; empty where neither does.
        citation: BibTeX.
        former_fingerprint: what earlier versions recorded of the same data: 16 hexadecimal digits that stand for names,
            lengths and sizes, not for contents; empty until the data is loaded.
    """

    name: str
    version: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    licence: str = ""
    citation: str = ""
    former_fingerprint: str = ""

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


class Split(Protocol):
    """A part of a data set, in batches whose content is a pure function of (seed, epoch, step).

    Attributes:
        name: `"train"`, `"validation"` or `"test"`.
        size: number of examples.
        batch_size: examples a batch; the last batch of an epoch holds what is left.
        steps: batches an epoch, ceil(size / batch_size).
        image_shape: (height, width, channels).
        handle_spec: the type of `epoch`'s result, for the input signature of a `tf.function`; the same every epoch.
    """

    name: str
    size: int
    batch_size: int
    steps: int
    image_shape: tuple[int, int, int]

    @property
    def handle_spec(self) -> "tf.TypeSpec": ...

    def epoch(self, epoch: int, start_step: int = 0) -> Any:
        """Returns what `batch` needs to give the batches of an epoch from `start_step` on.

        Pass it to a `tf.function` as an argument: a new epoch doesn't trace the function again.
        """
        ...

    def batch(self, handle: Any, step: "tf.Tensor | int") -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns batch `step` of the epoch: call it once a step, in order, inside or outside a `tf.function`.

        Args:
            handle: the result of `epoch`.
            step: the step within the epoch, counted from 0 (not from `start_step`); may be a symbolic integer.

        Returns:
            images uint8 [b, height, width, channels] and labels int64 [b], where b is `batch_size` except in the last.
        """
        ...

    def indices(self, epoch: int, step: int) -> np.ndarray:
        """Returns int64 [b]: where each example of that batch stands in the TFDS split that it is read from."""
        ...

    def class_counts(self) -> np.ndarray:
        """Returns int64 [classes]: how many examples of the split each class has."""
        ...


@dataclass(frozen=True)
class Data:
    """A data set, ready to be trained on.

    Attributes:
        info: its metadata.
        train, validation, test: its splits; `validation` and `test` may be absent.
        resident: whether the decoded images are held in memory (else they are streamed).
        nbytes: size of all decoded images that the splits draw on.
    """

    info: DataInfo
    train: Split
    validation: Split | None
    test: Split | None
    resident: bool
    nbytes: int

    def describe(self) -> str:
        """Returns one line: name, version, sizes, shape, classes, and where the images are."""
        sizes = [f"{s.size:,} {s.name}" for s in (self.train, self.validation, self.test) if s is not None]
        shape = "x".join(map(str, self.info.image_shape))
        place = "in memory" if self.resident else "streamed"
        parts = [*sizes, shape, f"{self.info.classes:,} classes", f"{place} ({_megabytes(self.nbytes)})"]
        return f"{self.info.name} {self.info.version}: {', '.join(parts)}"


def _megabytes(nbytes: int) -> str:
    return f"{nbytes / 1e9:,.1f} GB" if nbytes >= 1e9 else f"{max(nbytes / 1e6, 0.1):,.{0 if nbytes >= 1e6 else 1}f} MB"
