"""A run that is one trial of many: somebody outside compares it with the others and may end it early."""

from collections.abc import Callable, Sequence

from kerasdl.training.interrupts import PRUNED, Interrupts
from kerasdl.training.listener import Metrics

# Called with epochs that are done, training steps that are done, and the metrics of an evaluation.
Judge = Callable[[int, int, Metrics], bool]


class Pruning:
    """Tells a judge of each evaluation, and stops training when it says so.

    Args:
        judge: returns whether the run shall end.
        interrupts: what training looks at between two calls.
        epochs: of the whole run; behind the last there is nothing to prune.
    """

    def __init__(self, judge: Judge, interrupts: Interrupts, epochs: int):
        self._judge = judge
        self._interrupts = interrupts
        self._epochs = epochs
        self._epoch = 0

    def on_call(self, epoch: int, step: int, metrics: Metrics) -> None:
        self._epoch = epoch

    def on_interval(self, step: int, metrics: Metrics, learning_rates: Sequence[float]) -> None:
        """Nothing is evaluated then."""

    def on_validation(self, step: int, metrics: Metrics) -> None:
        self._ask(self._epoch, step, metrics)

    def on_epoch(self, epoch: int, step: int, metrics: Metrics) -> None:
        self._ask(epoch + 1, step, metrics)

    def on_rollback(self, step: int, attempt: int) -> None:
        """Evaluations that come again are the judge's business."""

    def _ask(self, epoch: int, step: int, metrics: Metrics) -> None:
        if self._judge(epoch, step, metrics) and epoch < self._epochs:
            self._interrupts.requested = self._interrupts.requested or PRUNED
