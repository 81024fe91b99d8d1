"""Pictures that a task wants kept while it is trained: the first batch of a split, seen every so many epochs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasdl.experiment import record
from kerasdl.training.reports import Metrics

if TYPE_CHECKING:
    from kerasdl.tracking import Tracker
    from kerasdl.training.loop import EvaluationLoop
    from kerasdl.training.task import Task


class Pictures:
    """Listens to a training and keeps the task's pictures in `pictures/epoch-<number>/` of the run's artifacts.

    Args:
        task: whose `pictures_every` is at least 1.
        evaluation: of the split that is looked at.
        tracker: where pictures go.
    """

    def __init__(self, task: "Task", evaluation: "EvaluationLoop", tracker: "Tracker"):
        self._task = task
        self._evaluation = evaluation
        self._tracker = tracker

    def on_call(self, epoch: int, step: int, metrics: Metrics) -> None:
        """Epochs are what counts."""

    def on_interval(self, step: int, metrics: Metrics, learning_rates: Sequence[float]) -> None:
        """Epochs are what counts."""

    def on_validation(self, step: int, metrics: Metrics) -> None:
        """Epochs are what counts."""

    def on_rollback(self, step: int, attempt: int) -> None:
        """A later picture of the same epoch replaces the earlier one."""

    def on_epoch(self, epoch: int, step: int, metrics: Metrics) -> None:
        if (epoch + 1) % self._task.pictures_every == 0:
            found = self._task.pictures(self._evaluation.first())
            record.pictures(self._tracker, found, f"pictures/epoch-{epoch + 1:04d}/")
