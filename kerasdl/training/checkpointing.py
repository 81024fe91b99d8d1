"""When the state of a training is saved, and which save is the best.

At the cadence that the user asks for; when an epoch is better than all before it; at the end; and when a signal stops
training. What a checkpoint is and how it is written: `kerasdl.training.checkpoints`.
"""

from collections.abc import Mapping

from kerasdl.training.checkpoints import Checkpoints, Snapshot
from kerasdl.training.every import Every
from kerasdl.training.progress import Best, Progress
from kerasdl.training.state import TrainingState


class Checkpointing:
    """Saves the state when it is time.

    Args:
        checkpoints: where to; None saves nothing.
        every: how often.
        best: the metric of an epoch that decides which checkpoint is the best, or None. Less is better for a loss,
            more for every other metric.
    """

    def __init__(self, checkpoints: Checkpoints | None, every: Every, best: str | None):
        self._checkpoints = checkpoints
        self._every = every
        self._best = best
        self._saved_at: int | None = None

    @property
    def error(self) -> OSError | None:
        """Why the last checkpoint couldn't be written; None if it was."""
        return self._checkpoints.error if self._checkpoints else None

    def newest(self) -> Snapshot | None:
        """Returns the last checkpoint that is intact, or None."""
        snapshot = self._checkpoints.newest() if self._checkpoints else None
        self._saved_at = snapshot.step if snapshot else None
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
            self.save(state.capture(), progress)

    def after_epoch(self, state: TrainingState, progress: Progress, metrics: Mapping[str, float]) -> None:
        """Saves at the end of an epoch, if it is time or the epoch is the best so far."""
        if self._checkpoints is None:
            return
        value = metrics[self._best] if self._best else None
        is_best = value is not None and (progress.best is None or self._better(value, progress.best.value))
        if is_best and value is not None:
            progress.best = Best(value, progress.step)
        if is_best or self._every.due(progress.step):
            self.save(state.capture(), progress)

    def finish(self, state: TrainingState, progress: Progress) -> None:
        """Saves where training ends or a signal stopped it, and returns when that is on disk."""
        if self._checkpoints is None:
            return
        # Also behind a save at the same step: a signal may have come between an epoch's last step and its end.
        self._checkpoints.wait()
        if self._saved_at != progress.step or progress.done or self._checkpoints.error:
            self.save(state.capture(), progress)
        self._checkpoints.wait()

    def save(self, snapshot: Snapshot, progress: Progress) -> None:
        """Saves `snapshot`; the file is written in the background."""
        if self._checkpoints is None:
            return
        self._checkpoints.save(snapshot, progress.best.step if progress.best else None)
        self._saved_at = snapshot.step
        self._every.happened()

    def _better(self, value: float, best: float) -> bool:
        return value < best if "loss" in str(self._best) else value > best
