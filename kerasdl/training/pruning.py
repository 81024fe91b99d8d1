"""Ends a trial of a sweep early when the sweep's pruner decides so."""

from collections.abc import Callable, Sequence

from kerasdl.training.interrupts import PRUNED, Interrupts
from kerasdl.training.reports import Metrics

# Receives the number of epochs and of training steps done, and the metrics of an evaluation.
ShouldPrune = Callable[[int, int, Metrics], bool]


class Pruning:
    """Reports each evaluation, and stops training if the answer is to prune the run.

    Args:
        should_prune: receives each evaluation and returns whether to end the run.
        interrupts: how training is stopped between two calls.
        epochs: of the whole run; after the last one there is nothing to prune.
    """

    def __init__(self, should_prune: ShouldPrune, interrupts: Interrupts, epochs: int):
        self._should_prune = should_prune
        self._interrupts = interrupts
        self._epochs = epochs
        self._epoch = 0

    def on_call(self, epoch: int, step: int, metrics: Metrics) -> None:
        self._epoch = epoch

    def on_interval(self, step: int, metrics: Metrics, learning_rates: Sequence[float]) -> None:
        """There is no evaluation in an interval."""

    def on_validation(self, step: int, metrics: Metrics) -> None:
        self._report(self._epoch, step, metrics)

    def on_epoch(self, epoch: int, step: int, metrics: Metrics) -> None:
        self._report(epoch + 1, step, metrics)

    def on_rollback(self, step: int, attempt: int) -> None:
        """Evaluations that are repeated are reported again."""

    def _report(self, epoch: int, step: int, metrics: Metrics) -> None:
        if self._should_prune(epoch, step, metrics) and epoch < self._epochs:
            self._interrupts.requested = self._interrupts.requested or PRUNED
