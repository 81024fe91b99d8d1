"""Hands what training reports on to a tracker, under the names that MLflow shows."""

from collections.abc import Mapping, Sequence
from typing import Any


class TrackingListener:
    """Listens to a training and writes its metrics; MLflow's step is the number of training steps so far.

    Epochs give Keras's names (`loss`, `val_accuracy`, ...), intervals the same behind `interval/`. The learning rate of
    every step is in `learning_rate`: one point where it changes, none while it stays.

    Args:
        tracker: a `kerasdl.tracking.Tracker`.
    """

    def __init__(self, tracker: Any):
        self._tracker = tracker
        self._rate: float | None = None

    def on_call(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """A call is shorter than anything worth keeping."""

    def on_interval(self, step: int, metrics: Mapping[str, float], learning_rates: Sequence[float]) -> None:
        for at, rate in enumerate(learning_rates, start=step - len(learning_rates)):
            if rate != self._rate:
                self._tracker.metrics({"learning_rate": rate}, at)
                self._rate = rate
        self._tracker.metrics(dict(metrics), step)

    def on_epoch(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        known = {name: value for name, value in metrics.items() if name != "learning_rate"}
        self._tracker.metrics({**known, "epoch": epoch + 1}, step)
