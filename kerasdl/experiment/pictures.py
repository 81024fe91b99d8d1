"""A task's pictures during training: of the first batch of a split, every few epochs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasdl.experiment import record
from kerasdl.training.reports import Metrics

if TYPE_CHECKING:
    from kerasdl.tracking import Tracker
    from kerasdl.training.loop import EvaluationLoop
    from kerasdl.training.task import Task


class Pictures:
    """Logs the task's pictures during training, in `pictures/epoch-<number>/` of the run's artifacts.

    Args:
        task: draws the pictures; its `pictures_every` is at least 1.
        evaluation: of the split whose first batch is drawn.
        tracker: logs the pictures.
    """

    def __init__(self, task: "Task", evaluation: "EvaluationLoop", tracker: "Tracker"):
        self._task = task
        self._evaluation = evaluation
        self._tracker = tracker

    def on_call(self, epoch: int, step: int, metrics: Metrics) -> None:
        """Pictures are drawn at the end of an epoch only."""

    def on_interval(self, step: int, metrics: Metrics, learning_rates: Sequence[float]) -> None:
        """Pictures are drawn at the end of an epoch only."""

    def on_validation(self, step: int, metrics: Metrics) -> None:
        """Pictures are drawn at the end of an epoch only."""

    def on_rollback(self, step: int, attempt: int) -> None:
        """A later picture of the same epoch replaces the earlier one."""

    def on_epoch(self, epoch: int, step: int, metrics: Metrics) -> None:
        if (epoch + 1) % self._task.pictures_every == 0:
            found = self._task.pictures(self._evaluation.first())
            record.pictures(self._tracker, found, f"pictures/epoch-{epoch + 1:04d}/")
