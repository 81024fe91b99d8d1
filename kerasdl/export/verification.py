"""A file compared with Keras on real examples: the same outputs, the same labels, how large, how fast.

The file is loaded again in the runtime that it is for. What may differ by how much is `kerasdl.export.tolerance`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasdl.errors import UserError
from kerasdl.export.source import PROBABILITIES, Arrays, Predict
from kerasdl.export.tolerance import Tolerance

BATCH_SIZE = 64
_WARM_UPS, _FEWEST, _MOST = 3, 5, 50  # calls
_LATENCY_SECONDS = 0.3  # of calls, unless there are fewer than `_FEWEST` by then


@dataclass(frozen=True)
class Check:
    """What files are compared on.

    Attributes:
        split: where the examples are from.
        inputs: (n, *shape) by name, n >= 1.
        outputs: Keras's, float32 (n, ...) by name.
        labels: int (n,); None if the model gives no label.
    """

    split: str
    inputs: Arrays
    outputs: Arrays
    labels: np.ndarray | None = None

    @property
    def size(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def correct(self) -> int:
        """How many examples Keras gives their label; 0 if it gives no label."""
        return 0 if self.labels is None else int((self.predicted == self.labels).sum())

    @property
    def predicted(self) -> np.ndarray:
        """Keras's labels, int (n,), of a model that gives one."""
        return self.outputs[PROBABILITIES].argmax(axis=1)

    @property
    def accuracy(self) -> float | None:
        """Keras's, in [0, 1]; None if it gives no label."""
        return None if self.labels is None else self.correct / self.size

    def range_of(self, name: str) -> float:
        """Returns how far apart Keras's smallest and largest value of an output may be: 1 for probabilities.

        Other outputs have whatever unit the data has; their range is that of Keras's values for these examples.
        """
        if self.labels is not None:
            return 1.0
        return float(np.ptp(self.outputs[name])) or 1.0


@dataclass(frozen=True)
class Measured:
    """What a file did.

    Attributes:
        size: bytes.
        differences: for each output the largest difference from Keras's: of a probability as it is, of anything else
            as a share of the output's range (`Check.range_of`).
        agreement: share of examples with the same label as Keras gives, in [0, 1]; None if there are no labels.
        accuracy: in [0, 1]; None if there are no labels.
        seconds_1: median seconds an example in batches of one.
        seconds_64: median seconds an example in batches of 64.
    """

    size: int
    differences: Mapping[str, float]
    agreement: float | None
    accuracy: float | None
    seconds_1: float
    seconds_64: float

    @property
    def max_difference(self) -> float:
        return float(np.max(list(self.differences.values())))  # NaN if one of them is


def check_of(predict: Predict, split: str, inputs: Arrays, labels: np.ndarray | None = None) -> Check:
    """Returns the comparison with what Keras, `predict`, makes of the inputs; see `Check` for shapes."""
    return Check(split, inputs, in_batches(predict, inputs), labels)


def measure(predict: Predict, path: Path, check: Check) -> Measured:
    """Returns what a loaded file does with the examples of the check.

    Args:
        predict: the file, loaded.
        path: of the file or folder.
        check: what to compare with.

    Raises:
        UserError: it gives something else than Keras does, each output as float32.
    """
    found = in_batches(predict, check.inputs)
    for name, wanted in check.outputs.items():
        if name not in found:
            raise UserError(f"it gives {', '.join(found)} and no {name}")
        if found[name].shape != wanted.shape or found[name].dtype != np.float32:
            raise UserError(
                f"it gives {found[name].dtype} {found[name].shape} instead of {name} float32 {wanted.shape}"
            )
    labels = None if check.labels is None else found[PROBABILITIES].argmax(axis=1)
    return Measured(
        size=size(path),
        differences={
            name: float(np.abs(found[name] - wanted).max()) / check.range_of(name)
            for name, wanted in check.outputs.items()
        },
        agreement=None if labels is None else float((labels == check.predicted).mean()),
        accuracy=None if labels is None else float((labels == check.labels).mean()),
        seconds_1=_seconds(predict, check.inputs, 1),
        seconds_64=_seconds(predict, check.inputs, BATCH_SIZE),
    )


def complaint(measured: Measured, check: Check, tolerance: Tolerance) -> str:
    """Returns why a file isn't the same network, or "" if it is."""
    if measured.agreement is None or measured.accuracy is None:
        return tolerance.complaint_of_values(measured.differences)
    disagreeing = round((1 - measured.agreement) * check.size)
    lost = check.correct - round(measured.accuracy * check.size)
    return tolerance.complaint(measured.max_difference, disagreeing, lost, check.size)


def size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def in_batches(predict: Predict, inputs: Arrays) -> dict[str, np.ndarray]:
    """Returns the outputs for all inputs; the last batch has another size, which must not matter."""
    count = len(next(iter(inputs.values())))
    parts = [
        predict({name: values[start : start + BATCH_SIZE] for name, values in inputs.items()})
        for start in range(0, count, BATCH_SIZE)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _seconds(predict: Predict, inputs: Arrays, batch_size: int) -> float:
    batch = {name: np.resize(values, (batch_size, *values.shape[1:])) for name, values in inputs.items()}
    for _ in range(_WARM_UPS):
        predict(batch)
    taken: list[float] = []
    while len(taken) < _FEWEST or (len(taken) < _MOST and sum(taken) < _LATENCY_SECONDS):
        start = time.perf_counter()
        predict(batch)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) / batch_size
