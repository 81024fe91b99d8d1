"""Hands what training reports on to a tracker, under the names that MLflow shows."""

from collections.abc import Mapping, Sequence
from typing import Any


class TrackingListener:
    """Listens to a training and writes its metrics; MLflow's step is the number of training steps before or so far.

    Epochs give Keras's names (`loss`, `val_accuracy`, ...), intervals the same behind `interval/`; `learning_rate` has
    a point for every step, at the step that used it.

    Args:
        tracker: a `kerasdl.tracking.Tracker`.
    """

    def __init__(self, tracker: Any):
        self._tracker = tracker

    def on_call(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """A call is shorter than anything worth keeping."""

    def on_interval(self, step: int, metrics: Mapping[str, float], learning_rates: Sequence[float]) -> None:
        for at, rate in enumerate(learning_rates, start=step - len(learning_rates)):
            self._tracker.metrics({"learning_rate": rate}, at)
        self._tracker.metrics(dict(metrics), step)

    def on_epoch(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        known = {name: value for name, value in metrics.items() if name != "learning_rate"}
        self._tracker.metrics({**known, "epoch": epoch + 1}, step)
