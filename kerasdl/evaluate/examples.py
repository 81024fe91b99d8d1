"""Evaluation of any task: its own metrics and pictures, and the numbers that it gives for each example."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.features import Features
from kerasdl.evaluate import finite
from kerasdl.training.task import Arrays, Evaluated, Sums

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasdl.training.task import Task

MOST_SHOWN = 64  # examples whose images and codes are kept for the task's pictures


@dataclass(frozen=True)
class ExampleEvaluation:
    """The results of a network on a split; see `kerasdl.evaluate.measuring.Evaluation`.

    Attributes:
        results: the task's metrics.
        columns: of `predictions.csv`, in the order of the source's split: `index`, the targets, and the outputs that
            are one number an example. Empty if there is no such output.
        pictures: the task's, by file name.
    """

    results: dict[str, float]
    columns: Mapping[str, Sequence[Any]]
    pictures: "dict[str, Figure]"

    @property
    def metrics(self) -> dict[str, float]:
        return self.results

    def headline(self) -> str:
        return ", ".join(f"{name} {value:.4f}" for name, value in self.results.items())

    def show(self) -> None:
        """The headline has all metrics."""

    def files(self) -> "dict[str, str | Figure]":
        table: dict[str, str | Figure] = {"predictions.csv": _csv(self.columns)} if self.columns else {}
        return {**table, **self.pictures}


class ExampleCollector:
    """Collects the numbers of all examples, and everything of the first few; see `measuring.Collector`.

    Args:
        features: of the data.
    """

    def __init__(self, features: Features):
        self._features = features
        self._indices: list[np.ndarray] = []
        self._batches: list[Arrays] = []
        self._outputs: list[Arrays] = []
        self._count = 0

    def add(self, evaluated: Evaluated, indices: np.ndarray, split: str) -> None:
        for name, values in evaluated.outputs.items():
            finite.check(values, name, indices, split)
        room = max(MOST_SHOWN - self._count, 0)
        self._indices.append(np.asarray(indices, np.int64))
        self._batches.append(_kept(evaluated.batch, room))
        self._outputs.append(_kept(evaluated.outputs, room))
        self._count += len(indices)

    def evaluation(self, task: "Task", sums: Sums) -> ExampleEvaluation:
        batch, outputs = _joined(self._batches), _joined(self._outputs)
        # Images are of the first examples, so the i-th value of each name is of the same example.
        pictures = task.pictures(Evaluated(sums, batch, outputs))
        return ExampleEvaluation(task.results(sums), self._columns(batch, outputs), pictures)

    def _columns(self, batch: Arrays, outputs: Arrays) -> dict[str, Sequence[Any]]:
        numbers = {name: values for name, values in outputs.items() if values.ndim == 1}
        if not numbers:
            return {}
        indices = np.concatenate(self._indices)
        order = np.argsort(indices, kind="stable")  # that of the training split is shuffled
        columns: dict[str, Sequence[Any]] = {"index": indices[order].tolist()}
        for name, feature in self._features.targets.items():
            if feature.is_scalar:
                values = batch[name][order]
                columns[name] = [feature.names[value] for value in values] if feature.names else _shortest(values)
        for name, values in numbers.items():
            columns[f"predicted_{name}" if name in columns else name] = _shortest(values[order])
        return columns


def _kept(values: Arrays, room: int) -> Arrays:
    """Returns scalars of all examples, (b,), and everything else of at most `room` examples, copied."""
    flat = {name: value[:, 0] if value.ndim == 2 and value.shape[1] == 1 else value for name, value in values.items()}
    return {name: value if value.ndim == 1 else value[:room].copy() for name, value in flat.items()}


def _joined(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _shortest(values: np.ndarray) -> list[str]:
    """Returns each number with the fewest digits that give it again in its own precision."""
    return [str(value) for value in values]


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue()
