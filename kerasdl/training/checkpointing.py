"""When the state of a training is saved, and which save is the best.

At the cadence that the user asks for; when an epoch is better than all before it; at the end; and when a signal stops
training. What a checkpoint is and how it is written: `kerasdl.training.checkpoints`.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from kerasdl.console import warn
from kerasdl.training.checkpoints import Checkpoints, Snapshot, best_step
from kerasdl.training.every import Every
from kerasdl.training.progress import Best, Progress
from kerasdl.training.state import TrainingState


class Checkpointing:
    """Saves the state when it is time.

    The best epoch moves with the checkpoint that is on disk: while that is being written, the snapshot says that it is
    the best, and if it can't be written, the one before is the best again.

    Args:
        checkpoints: where to; None saves nothing.
        every: how often.
        best: the metric of an epoch that decides which checkpoint is the best, or None.
        maximize: whether more of that metric is better.
    """

    def __init__(self, checkpoints: Checkpoints | None, every: Every, best: str | None, maximize: bool = False):
        self._checkpoints = checkpoints
        self._every = every
        self._best = best
        self._maximize = maximize
        self._saved_at: int | None = None
        self._is_best_being_written = False
        self._best_before: Best | None = None

    @property
    def error(self) -> OSError | None:
        """Why the last checkpoint couldn't be written; None if it was."""
        return self._checkpoints.error if self._checkpoints else None

    def newest(self) -> Snapshot | None:
        """Returns the last checkpoint that is intact, or None.

        Raises:
            ResumeError: another version of kerasdl wrote it.
        """
        if self._checkpoints is None:
            return None
        snapshot = self._checkpoints.newest()
        self._is_best_being_written = False
        self._saved_at = snapshot.step if snapshot else None
        if snapshot is None:
            return None
        best = best_step(snapshot.values)
        if best is not None and not self._checkpoints.has(best):
            warn(f"the best checkpoint, of step {best}, isn't there any more; the best is looked for anew.")
            return replace(snapshot, values={**snapshot.values, "best": None})
        return snapshot

    def last_good(self, step: int) -> Snapshot | None:
        """Returns the checkpoint to go back to when the loss of the last of `step` steps isn't finite, or None."""
        snapshot = self.newest()
        # Weights whose very next loss isn't finite were lost already, whatever the learning rate.
        while self._checkpoints and snapshot and snapshot.step == step - 1:
            self._checkpoints.discard(snapshot.step)
            snapshot = self.newest()
        return snapshot

    def distance(self, step: int) -> float:
        """Returns the number of steps to the next save, or infinity."""
        return self._every.distance(step)

    def after_call(self, state: TrainingState, progress: Progress) -> None:
        """Saves in the middle of an epoch, if it is time."""
        if self._checkpoints and self._every.due(progress.step):
            self.save(state, progress)

    def after_epoch(self, state: TrainingState, progress: Progress, metrics: Mapping[str, float]) -> None:
        """Saves at the end of an epoch, if it is time or the epoch is the best so far."""
        if self._checkpoints is None:
            return
        self._settle(progress)
        before = progress.best
        is_best = self._best is not None and self._is_better(metrics[self._best], before)
        if is_best:
            progress.best = Best(metrics[str(self._best)], progress.step)
        if is_best or self._every.due(progress.step):
            self.save(state, progress)
        self._is_best_being_written, self._best_before = is_best, before

    def finish(self, state: TrainingState, progress: Progress) -> None:
        """Saves where training ends or a signal stopped it, and returns when that is on disk."""
        if self._checkpoints is None:
            return
        self._checkpoints.wait()
        # Also after a save at the same step: a signal may have come between an epoch's last step and its end.
        if self._saved_at != progress.step or progress.done or self._checkpoints.error:
            self.save(state, progress)
        self._checkpoints.wait()
        self._settle(progress)

    def save(self, state: TrainingState, progress: Progress) -> None:
        """Saves the present state; the file is written in the background."""
        if self._checkpoints is None:
            return
        self._settle(progress)
        self._checkpoints.save(state.capture())
        self._saved_at = progress.step
        self._every.happened()

    def _settle(self, progress: Progress) -> None:
        """Waits for the checkpoint of the best epoch, if it is being written, and takes `best` back if it failed."""
        if self._checkpoints is None or not self._is_best_being_written:
            return
        self._checkpoints.wait()
        self._is_best_being_written = False
        if not self._checkpoints.written:
            progress.best = self._best_before

    def _is_better(self, value: float, best: Best | None) -> bool:
        if math.isnan(value) or best is None:
            return not math.isnan(value)
        return value > best.value if self._maximize else value < best.value
