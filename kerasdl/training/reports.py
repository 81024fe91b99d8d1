"""Word of how training goes: what is told after a call, an interval, a validation, an epoch, to all who listen."""

from collections.abc import Sequence

import psutil

from kerasdl.training.listener import Listener, Metrics
from kerasdl.training.progress import Progress
from kerasdl.training.task import Task


class Reports:
    """Reports the progress of a training.

    Args:
        task: names the metrics.
        progress: where training stands.
        interval: steps between two reports of `on_interval`.
        listeners: who wants to know.
    """

    def __init__(self, task: Task, progress: Progress, interval: int, listeners: Sequence[Listener]):
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
        """At the end of an interval, or of training in the middle of one; nothing if no step has been done in it."""
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
        """After training has gone back."""
        for listener in self._listeners:
            listener.on_rollback(self._progress.step, self._progress.rollbacks)
