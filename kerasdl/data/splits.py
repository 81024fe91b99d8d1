"""The interface of a loaded data set to the rest of the program.

The two kinds of split are in `kerasdl.data.resident` and `kerasdl.data.streamed`. Both satisfy `Split`, so the loop
needn't know where a batch comes from.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kerasdl.data.features import Features
from kerasdl.data.source import DataInfo

if TYPE_CHECKING:
    import tensorflow as tf

Batch = dict[str, "tf.Tensor"]  # for each feature (b, *shape)


class Split(Protocol):
    """A part of a data set, in batches whose content is a pure function of (seed, epoch, step).

    Attributes:
        name: `"train"`, `"validation"` or `"test"`.
        size: number of examples.
        batch_size: examples per batch; the last batch of an epoch has the remaining ones.
        steps: batches per epoch, ceil(size / batch_size).
        features: of an example.
        handle_spec: the type of an epoch's handle, for the input signature of a `tf.function`; one for all epochs.
    """

    name: str
    size: int
    batch_size: int
    steps: int
    features: Features

    @property
    def handle_spec(self) -> "tf.TypeSpec": ...

    def epoch(self, epoch: int, start_step: int = 0) -> Any:
        """Returns a handle on an epoch, from which `batch` gets its batches from `start_step` on.

        Pass it to a `tf.function` as an argument, so that a new epoch doesn't trace the function again.
        """
        ...

    def batch(self, handle: Any, step: "tf.Tensor | int") -> Batch:
        """Returns batch `step` of the epoch: call it once a step, in order, inside or outside a `tf.function`.

        Args:
            handle: of the epoch, from `epoch`.
            step: the step within the epoch, counted from 0 (not from `start_step`); may be a symbolic integer.

        Returns:
            For each feature a tensor (b, *shape), where b is `batch_size` except in the last.
        """
        ...

    def indices(self, epoch: int, step: int) -> np.ndarray:
        """Returns int64 (b,): positions of the batch's examples in the source's split that they are read from."""
        ...

    def column(self, name: str) -> np.ndarray:
        """Returns a scalar feature of all examples, (size,), in the order in which they are stored."""
        ...


def batch_spec(features: Features) -> "dict[str, tf.TensorSpec]":
    """Returns the types of a batch's tensors, of any number of examples."""
    import tensorflow as tf

    return {name: tf.TensorSpec([None, *f.shape], tf.as_dtype(f.dtype), name=name) for name, f in features.all.items()}


@dataclass(frozen=True)
class Data:
    """A data set, ready for training.

    Attributes:
        info: its metadata.
        train, validation, test: its splits; `validation` and `test` may be absent.
        resident: whether the decoded examples are held in memory (else they are streamed).
        nbytes: size of all decoded examples that the splits are taken from.
    """

    info: DataInfo
    train: Split
    validation: Split | None
    test: Split | None
    resident: bool
    nbytes: int

    def describe(self) -> str:
        """Returns one line: name, version, sizes, features, and where the examples are."""
        sizes = [f"{s.size:,} {s.name}" for s in (self.train, self.validation, self.test) if s is not None]
        place = "in memory" if self.resident else "streamed"
        parts = [*sizes, self.info.features.describe(), f"{place} ({_megabytes(self.nbytes)})"]
        return f"{self.info.name} {self.info.version}: {', '.join(parts)}"


def _megabytes(nbytes: int) -> str:
    return f"{nbytes / 1e9:,.1f} GB" if nbytes >= 1e9 else f"{max(nbytes / 1e6, 0.1):,.{0 if nbytes >= 1e6 else 1}f} MB"
