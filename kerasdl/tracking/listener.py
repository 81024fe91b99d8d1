"""Passes what training reports on to a tracker, under the names that MLflow shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasdl.tracking import entries


class TrackingListener:
    """Listens to training and records its metrics.

    Epochs have Keras's names (`loss`, `val_accuracy`, ...), intervals the same names after `interval/`, both at the
    number of training steps so far. `learning_rate` has a point for every step, at the number of steps before it.

    Args:
        tracker: a `kerasdl.tracking.Tracker`.
    """

    def __init__(self, tracker: Any):
        self._tracker = tracker
        self._rates_until = 0  # the learning rates of earlier steps have been reported

    def on_call(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Does nothing: a call is shorter than an interval."""

    def on_interval(self, step: int, metrics: Mapping[str, float], learning_rates: Sequence[float]) -> None:
        # If training rolled back into the middle of an interval, its first rates have been reported before.
        first = max(step - len(learning_rates), self._rates_until)
        self._tracker.series("learning_rate", first, learning_rates[len(learning_rates) - (step - first) :])
        self._rates_until = step
        self._tracker.metrics(dict(metrics), step)

    def on_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records a validation in the middle of an epoch; the names begin with `val_`."""
        self._tracker.metrics(dict(metrics), step)

    def on_rollback(self, step: int, attempt: int) -> None:
        """Begins another attempt: training has rolled back to `step`."""
        self._tracker.attempt = attempt
        self._rates_until = min(self._rates_until, step)
        self._tracker.metrics({entries.ROLLBACKS: attempt}, step)

    def on_epoch(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        others = {name: value for name, value in metrics.items() if name != "learning_rate"}
        self._tracker.metrics({**others, "epoch": epoch + 1}, step)
