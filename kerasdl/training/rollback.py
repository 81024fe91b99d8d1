"""Detects a loss that isn't finite, at its step, and decides what to do about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kerasdl.data.splits import Split
from kerasdl.errors import TrainingError
from kerasdl.training.checkpoint_file import Snapshot
from kerasdl.training.progress import Progress


@dataclass(frozen=True)
class Rollback:
    """What to do when a loss isn't finite: return to the last checkpoint, with the learning rate times `factor`.

    Attributes:
        factor: in (0, 1).
        limit: the maximum number of returns; 0 stops training at the first such loss.
    """

    factor: float = 0.5
    limit: int = 0


class NotFinite(Exception):
    """A loss that isn't finite; the message names the step and the batch.

    Attributes:
        examples: positions of the batch's examples in the split that they are read from.
    """

    def __init__(self, where: str, examples: Sequence[int]):
        super().__init__(where)
        self.examples = examples


def check_finite(progress: Progress, train: Split) -> None:
    """Raises NotFinite, naming step, batch and training examples, if the last step's loss isn't finite."""
    loss = progress.history.losses[-1]
    if math.isfinite(loss):
        return
    raise NotFinite(
        f"the loss is {loss} at step {progress.step - 1} (epoch {progress.epoch + 1}, batch {progress.done} of "
        f"{train.steps})",
        train.indices(progress.epoch, progress.done - 1).tolist(),
    )


def training_error(error: NotFinite, last_good: Snapshot | None, rollbacks: int) -> TrainingError:
    """Returns the error that ends a training whose loss isn't finite."""
    tried = f" after {rollbacks} rollbacks" if rollbacks else ""
    kept = f" The last good checkpoint is at step {last_good.step}." if last_good else ""
    return TrainingError(
        f"{error}{tried}.{kept} Try a smaller optimizer.learning_rate or optimizer.global_clipnorm=1; "
        f"debug=nan names the operation. Training examples of the batch: {', '.join(map(str, error.examples))}."
    )
