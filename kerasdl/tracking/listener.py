"""Hands what training reports on to a tracker, under the names that MLflow shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasdl.tracking import entries


class TrackingListener:
    """Listens to a training and writes its metrics; MLflow's step is the number of training steps before or so far.

    Epochs give Keras's names (`loss`, `val_accuracy`, ...), intervals the same behind `interval/`; `learning_rate` has
    a point for every step, at the step that used it.

    Args:
        tracker: a `kerasdl.tracking.Tracker`.
    """

    def __init__(self, tracker: Any):
        self._tracker = tracker
        self._rates_until = 0  # the learning rates of the steps before have been reported

    def on_call(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """A call is shorter than anything worth keeping."""

    def on_interval(self, step: int, metrics: Mapping[str, float], learning_rates: Sequence[float]) -> None:
        # Begins before what has been reported if training went back into the middle of an interval.
        first = max(step - len(learning_rates), self._rates_until)
        self._tracker.series("learning_rate", first, learning_rates[len(learning_rates) - (step - first) :])
        self._rates_until = step
        self._tracker.metrics(dict(metrics), step)

    def on_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """A validation in the middle of an epoch; the names come with their `val_`."""
        self._tracker.metrics(dict(metrics), step)

    def on_rollback(self, step: int, attempt: int) -> None:
        """Training went back to `step`; what it reports from now on belongs to another attempt."""
        self._tracker.attempt = attempt
        self._rates_until = min(self._rates_until, step)
        self._tracker.metrics({entries.ROLLBACKS: attempt}, step)

    def on_epoch(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        known = {name: value for name, value in metrics.items() if name != "learning_rate"}
        self._tracker.metrics({**known, "epoch": epoch + 1}, step)
