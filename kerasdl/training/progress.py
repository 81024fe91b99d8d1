"""The progress of training and its metrics: the part of its state that isn't in variables."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.training.checkpoint_file import best_step

if TYPE_CHECKING:
    from kerasdl.training.task import Sums

# Metrics by the names that earlier versions gave them.
_FORMER_NAMES = {"images_per_second": "examples_per_second"}
Arrays = dict[str, np.ndarray]
Values = dict[str, Any]


def floats() -> array:
    """Returns an empty list of float32 numbers."""
    return array("f")


@dataclass
class History:
    """The metrics of a training so far.

    Attributes:
        epochs: for each metric its value in each epoch.
        losses: float32, loss of every step.
        learning_rates: float32, learning rate of every step.
        first_step_at: time (seconds since 1970) at which this process's first step ended.
    """

    epochs: dict[str, list[float]] = field(default_factory=dict)
    losses: array = field(default_factory=floats)
    learning_rates: array = field(default_factory=floats)
    first_step_at: float = 0.0


class Tally:
    """Sums of statistics over a number of steps, in float64, and the seconds that the steps took.

    Args:
        shapes: the shape of each statistic (`kerasdl.training.task.Task.shapes`).
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        self._shapes = dict(shapes)
        self.clear()

    def clear(self) -> None:
        self.sums: Sums = {name: np.zeros(shape, np.float64) for name, shape in self._shapes.items()}
        self.steps = 0
        self.seconds = 0.0

    def add(self, sums: "Sums", steps: int, seconds: float) -> None:
        """Replaces the sums by new ones, which include them, and adds the steps and the seconds."""
        self.sums = sums
        self.steps += steps
        self.seconds += seconds

    def examples_per_second(self) -> float:
        return float(self.sums["count"]) / self.seconds

    def state(self, name: str) -> tuple[Arrays, Values]:
        arrays = {f"{name}/{key}": value for key, value in self.sums.items()}
        return arrays, {name: {"steps": self.steps, "seconds": self.seconds}}

    def restore(self, name: str, arrays: Mapping[str, np.ndarray], values: Values) -> None:
        self.sums = {key: arrays[f"{name}/{key}"] for key in self._shapes}
        self.steps, self.seconds = values[name]["steps"], values[name]["seconds"]


@dataclass
class Best:
    """The best epoch so far, by the metric that decides which checkpoint is kept as the best."""

    value: float
    step: int


class Progress:
    """How far training has come.

    Args:
        shapes: the shape of each statistic of a training step.

    Attributes:
        epoch: number of epochs done, which is the number of the present one, counted from 0.
        done: number of steps done in the present epoch.
        step: number of steps done in all epochs.
        epoch_begun: whether `on_epoch_begin` of the callbacks has been called for the present epoch.
        validated_at: the last step at which validation ran in the middle of an epoch.
        rollbacks: how often training returned to a checkpoint after a loss that wasn't finite.
        best: the best epoch so far.
        measured: by the fingerprint of the weights that an epoch was measured with, the number of that epoch, from 0.
            Kept only if there are callbacks, which may restore such weights.
        epoch_tally, interval_tally: statistics since the present epoch, or interval of reports, began.
    """

    _COUNTERS = ("epoch", "done", "step", "epoch_begun", "validated_at", "rollbacks")

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        self.epoch = 0
        self.done = 0
        self.step = 0
        self.epoch_begun = False
        self.validated_at = 0
        self.rollbacks = 0
        self.best: Best | None = None
        self.measured: dict[str, int] = {}
        self.history = History()
        self.epoch_tally = Tally(shapes)
        self.interval_tally = Tally(shapes)

    def record(
        self, losses: np.ndarray, learning_rates: np.ndarray, totals: "tuple[Sums, ...]", seconds: float
    ) -> None:
        """Records the results of a call of the loop; `totals` are the sums of the epoch and of the interval."""
        count = len(losses)
        self.done += count
        self.step += count
        self.history.losses.frombytes(losses.tobytes())
        self.history.learning_rates.frombytes(learning_rates.tobytes())
        for tally, sums in zip((self.epoch_tally, self.interval_tally), totals, strict=True):
            tally.add(sums, count, seconds)

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self.history.epochs.setdefault(name, []).append(value)
        self.epoch += 1
        self.done = 0
        self.epoch_begun = False
        self.epoch_tally.clear()

    def state(self) -> tuple[Arrays, Values]:
        """Returns the state as arrays and as values that JSON can hold."""
        history = self.history
        arrays: Arrays = {
            "history/losses": np.array(history.losses, np.float32),
            "history/learning_rates": np.array(history.learning_rates, np.float32),
        }
        values: Values = {name: getattr(self, name) for name in self._COUNTERS}
        values["best"] = vars(self.best) if self.best else None
        if self.measured:
            values["measured"] = dict(self.measured)
        values["epochs"] = {name: list(series) for name, series in history.epochs.items()}
        for name in ("epoch_tally", "interval_tally"):
            more_arrays, more_values = getattr(self, name).state(name)
            arrays |= more_arrays
            values |= more_values
        return arrays, values

    def restore(self, arrays: Mapping[str, np.ndarray], values: Values) -> None:
        """Restores what `state` returned."""
        for name in self._COUNTERS:
            setattr(self, name, values[name])
        # In earlier versions a NaN could be the best.
        self.best = Best(**values["best"]) if best_step(values) is not None else None
        self.measured = dict(values.get("measured", {}))  # absent without callbacks, and from earlier versions
        history = self.history
        history.epochs = {_FORMER_NAMES.get(name, name): list(series) for name, series in values["epochs"].items()}
        history.losses = array("f", arrays["history/losses"].tobytes())
        history.learning_rates = array("f", arrays["history/learning_rates"].tobytes())
        for name in ("epoch_tally", "interval_tally"):
            getattr(self, name).restore(name, arrays, values)
