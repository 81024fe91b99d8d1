"""A file compared with Keras on real images: the same probabilities, the same labels, how large, how fast.

The file is loaded again in the runtime that it is for. What may differ by how much is `kerasdl.export.tolerance`.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.errors import UserError
from kerasdl.export.source import Classify
from kerasdl.export.tolerance import Tolerance

if TYPE_CHECKING:
    import keras


BATCH_SIZE = 64
_WARM_UPS, _FEWEST, _MOST = 3, 5, 50  # calls
_LATENCY_SECONDS = 0.3  # of calls, unless there are fewer than `_FEWEST` by then


@dataclass(frozen=True)
class Check:
    """What files are compared on.

    Attributes:
        split: where the images are from.
        images: uint8 (n, height, width, channels), n >= 1.
        labels: int (n,).
        probabilities: Keras's, float32 (n, classes).
    """

    split: str
    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def correct(self) -> int:
        """How many images Keras gives their label."""
        return int((self.probabilities.argmax(axis=1) == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Keras's, in [0, 1]."""
        return self.correct / len(self.labels)


@dataclass(frozen=True)
class Measured:
    """What a file did.

    Attributes:
        size: bytes.
        max_difference: largest difference of a probability from Keras's.
        agreement: share of images with the same label as Keras gives, in [0, 1].
        accuracy: in [0, 1].
        seconds_1: median seconds an image in batches of one.
        seconds_64: median seconds an image in batches of 64.
    """

    size: int
    max_difference: float
    agreement: float
    accuracy: float
    seconds_1: float
    seconds_64: float


def check_of(model: "keras.Model", split: str, images: np.ndarray, labels: np.ndarray) -> Check:
    """Returns the comparison with what `model` makes of the images; see `Check` for shapes."""
    return Check(split, images, labels, _in_batches(lambda some: np.asarray(model.predict_on_batch(some)), images))


def measure(classify: Classify, path: Path, check: Check) -> Measured:
    """Returns what a loaded file does with the images of the check.

    Args:
        classify: the file, loaded.
        path: of the file or folder.
        check: what to compare with.

    Raises:
        UserError: it gives something else than probabilities float32 (n, classes).
    """
    found = _in_batches(classify, check.images)
    if found.shape != check.probabilities.shape or found.dtype != np.float32:
        raise UserError(
            f"it gives {found.dtype} {found.shape} instead of probabilities float32 {check.probabilities.shape}"
        )
    labels = found.argmax(axis=1)
    return Measured(
        size=size(path),
        max_difference=float(np.abs(found - check.probabilities).max()),
        agreement=float((labels == check.probabilities.argmax(axis=1)).mean()),
        accuracy=float((labels == check.labels).mean()),
        seconds_1=_seconds(classify, check.images, 1),
        seconds_64=_seconds(classify, check.images, BATCH_SIZE),
    )


def complaint(measured: Measured, check: Check, tolerance: Tolerance) -> str:
    """Returns why a file isn't the same network, or "" if it is."""
    images = len(check.labels)
    disagreeing = round((1 - measured.agreement) * images)
    lost = check.correct - round(measured.accuracy * images)
    return tolerance.complaint(measured.max_difference, disagreeing, lost, images)


def size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _in_batches(classify: Classify, images: np.ndarray) -> np.ndarray:
    """Returns the probabilities of all images; the last batch has another size, which must not matter."""
    starts = range(0, len(images), BATCH_SIZE)
    return np.concatenate([classify(images[start : start + BATCH_SIZE]) for start in starts])


def _seconds(classify: Classify, images: np.ndarray, batch_size: int) -> float:
    batch = np.resize(images, (batch_size, *images.shape[1:]))
    for _ in range(_WARM_UPS):
        classify(batch)
    taken: list[float] = []
    while len(taken) < _FEWEST or (len(taken) < _MOST and sum(taken) < _LATENCY_SECONDS):
        start = time.perf_counter()
        classify(batch)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) / batch_size
