"""What the trainer tells, and to whom."""

from collections.abc import Sequence
from typing import Protocol

Metrics = dict[str, float]


class Listener(Protocol):
    """Who wants to know how training goes. `step` counts all training steps so far."""

    def on_call(self, epoch: int, step: int, metrics: Metrics) -> None:
        """After each compiled call; `metrics` are those of the epoch so far."""

    def on_interval(self, step: int, metrics: Metrics, learning_rates: Sequence[float]) -> None:
        """Every `interval` steps and at the end; `metrics` and each step's learning rate are those of the interval."""

    def on_validation(self, step: int, metrics: Metrics) -> None:
        """After a validation in the middle of an epoch."""

    def on_epoch(self, epoch: int, step: int, metrics: Metrics) -> None:
        """After each epoch and its validation."""

    def on_rollback(self, step: int, attempt: int) -> None:
        """Training has gone back to `step`, for the `attempt`th time, because a loss wasn't finite."""
