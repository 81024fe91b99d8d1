"""Reports on the progress of training, to every listener: after a call, an interval, a validation, an epoch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import psutil

if TYPE_CHECKING:  # a mistake in the configuration is refused before TensorFlow is imported
    from kerasdl.training.progress import Progress
    from kerasdl.training.task import Task

Metrics = dict[str, float]


class Listener(Protocol):
    """Receives reports on a training. `step` is the number of training steps so far."""

    def on_call(self, epoch: int, step: int, metrics: Metrics) -> None:
        """After each compiled call; `metrics` are those of the epoch so far."""

    def on_interval(self, step: int, metrics: Metrics, learning_rates: Sequence[float]) -> None:
        """After every `interval` steps and at the end; `learning_rates` has one for each step of the interval."""

    def on_validation(self, step: int, metrics: Metrics) -> None:
        """After a validation in the middle of an epoch."""

    def on_epoch(self, epoch: int, step: int, metrics: Metrics) -> None:
        """After each epoch and its validation."""

    def on_rollback(self, step: int, attempt: int) -> None:
        """After training returned to `step`, for the `attempt`th time, because a loss wasn't finite."""


class Reports:
    """Reports the progress of a training.

    Args:
        task: names the metrics.
        progress: how far training has come.
        interval: steps between two reports of `on_interval`.
        listeners: receive the reports.
    """

    def __init__(self, task: "Task", progress: "Progress", interval: int, listeners: Sequence[Listener]):
        self._task = task
        self._progress = progress
        self._interval = interval
        self._listeners = listeners

    def distance(self) -> int:
        """Returns the number of steps to the end of the interval."""
        return self._interval - self._progress.step % self._interval

    def call(self, metrics: Metrics) -> None:
        """After a compiled call: `metrics` of the epoch so far, and the throughput."""
        progress = self._progress
        speed = progress.epoch_tally.examples_per_second()
        for listener in self._listeners:
            listener.on_call(progress.epoch, progress.step, {**metrics, "examples_per_second": speed})

    def interval_if_over(self) -> None:
        """At the end of an interval."""
        if self._progress.step % self._interval == 0:
            self.interval()

    def interval(self) -> None:
        """At the end of an interval or, within one, of training; does nothing if the interval has no step yet."""
        passed, history = self._progress.interval_tally, self._progress.history
        if not passed.steps:
            return
        metrics = {
            **{f"interval/{name}": value for name, value in self._task.results(passed.sums).items()},
            "interval/examples_per_second": passed.examples_per_second(),
            "interval/memory_gb": psutil.Process().memory_info().rss / 1e9,
        }
        for listener in self._listeners:
            listener.on_interval(self._progress.step, metrics, history.learning_rates[-passed.steps :])
        passed.clear()

    def validation(self, metrics: Metrics) -> None:
        """After a validation in the middle of an epoch."""
        for listener in self._listeners:
            listener.on_validation(self._progress.step, metrics)

    def epoch(self, metrics: Metrics) -> None:
        """After an epoch and its validation."""
        for listener in self._listeners:
            listener.on_epoch(self._progress.epoch, self._progress.step, dict(metrics))

    def rollback(self) -> None:
        """After training has returned to a checkpoint."""
        for listener in self._listeners:
            listener.on_rollback(self._progress.step, self._progress.rollbacks)
