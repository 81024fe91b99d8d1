"""The checkpoints of a run: when they are written, which ones are kept, and which is the best.

A checkpoint is written at the cadence of the configuration, when an epoch is better than all before it, at the end, and
when a signal stops training. A background thread writes them. The functions only read and change no file;
`Checkpoints` writes, removes and renames files, for the process that holds the run's lock.
"""

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.console import warn
from kerasdl.training.checkpoint_file import FORMAT, Damaged, Snapshot, best_step, read, unverified_values, write
from kerasdl.training.pacing import Every
from kerasdl.training.progress import Best, Progress

if TYPE_CHECKING:
    from kerasdl.training.state import TrainingState


def newest(folder: Path) -> tuple[Snapshot | None, list[Path]]:
    """Returns the last intact checkpoint in a folder, or None, and the damaged ones after it.

    Warns of each one that can't be used.

    Raises:
        OtherFormat: another version of kerasdl wrote the last one that isn't damaged.
    """
    damaged: list[Path] = []
    for step in sorted(_steps(folder), reverse=True):
        path = path_of(folder, step)
        try:
            return read(path), damaged
        except (Damaged, OSError) as error:
            warn(f"checkpoint {path} can't be used ({error}); going back to the one before.")
            if isinstance(error, Damaged):  # a file that can't be read now may be readable later
                damaged.append(path)
    return None, damaged


def path_of(folder: Path, step: int) -> Path:
    """Returns where the checkpoint of a step is."""
    return folder / f"step-{step:010d}.npz"


def _steps(folder: Path) -> list[int]:
    found = (re.fullmatch(r"step-(\d+)\.npz", path.name) for path in folder.glob("step-*.npz"))
    return [int(match[1]) for match in found if match]


class Checkpoints:
    """The checkpoints of a run whose lock this process holds.

    Args:
        folder: where they are.
        keep: how many of the last ones are kept, >= 1, and with each the best one that it records.
        before: called on the writing thread before a checkpoint is put in place: what it relies on must be on disk.

    Attributes:
        error: why the last one couldn't be written; None if it was.
        written: whether the last one is on disk, once `wait` has returned. Weights that aren't finite are no error, and
            aren't written.
    """

    def __init__(self, folder: Path, keep: int, before: Callable[[], None] = lambda: None):
        self.error: OSError | None = None
        self.written = False
        self._folder = folder
        self._keep = keep
        self._before = before
        self._best_of: dict[int, int | None] = {}  # by step, the step of the best checkpoint at that time
        # One at a time. Python waits for the thread when it exits, so the file is finished.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kerasdl-checkpoint")
        self._writing: Future | None = None

    def save(self, snapshot: Snapshot) -> None:
        """Starts to write `snapshot`; returns at once, unless the one before is still being written."""
        self.wait()
        self._writing = self._pool.submit(self._write, snapshot)

    def wait(self) -> None:
        """Returns when nothing is being written.

        Raises:
            Exception: the error of the last write, unless it was an OSError: a state that can't be written.
        """
        if self._writing:
            writing, self._writing = self._writing, None
            writing.result()

    def newest(self) -> Snapshot | None:
        """Returns the last intact checkpoint, or None. Damaged ones after it are reported and renamed.

        Raises:
            OtherFormat: another version of kerasdl wrote it; nothing has been changed.
        """
        self.wait()
        snapshot, damaged = newest(self._folder)
        for path in damaged:
            self._put_aside(path, "damaged")
        return snapshot

    def has(self, step: int) -> bool:
        """Returns whether there is a checkpoint of that step."""
        return path_of(self._folder, step).exists()

    def discard(self, step: int) -> None:
        """Renames the checkpoint of that step, so that it is no longer found."""
        self._put_aside(path_of(self._folder, step), "diverged")

    def _write(self, snapshot: Snapshot) -> None:
        self.written = False
        # A step can overflow weights and still have a finite loss; only the next step's loss shows it.
        if not all(np.isfinite(snapshot.arrays[name]).all() for name in snapshot.finite):
            warn(f"no checkpoint at step {snapshot.step}: some weights aren't finite.")
            return
        try:
            self._before()
            write(path_of(self._folder, snapshot.step), snapshot)
        except OSError as error:
            if self.error is None:
                warn(
                    f"the checkpoint at step {snapshot.step} can't be written to {self._folder} "
                    f"({error.strerror or error}); training continues, and earlier checkpoints are intact."
                )
            self.error = error
            return
        self.error, self.written = None, True
        self._best_of[snapshot.step] = best_step(snapshot.values)
        self._prune()

    def _prune(self) -> None:
        """Removes all but the last ones and the best ones that they record: training may return to any of them."""
        steps = sorted(_steps(self._folder))
        last = steps[-self._keep :]
        best = {self._best(step) for step in last}
        for step in steps:
            if step not in last and step not in best:
                path_of(self._folder, step).unlink(missing_ok=True)
        for left in self._folder.glob(".step-*.tmp"):  # left by a process that was killed while writing
            left.unlink(missing_ok=True)

    def _best(self, step: int) -> int | None:
        if step not in self._best_of:  # written by an earlier process
            values = unverified_values(path_of(self._folder, step))
            self._best_of[step] = best_step(values) if values.get("format") == FORMAT else None
        return self._best_of[step]

    def _put_aside(self, path: Path, why: str) -> None:
        """Renames a checkpoint, so that it is no longer found."""
        with contextlib.suppress(OSError):  # if the folder can't be written, the file is skipped again next time
            path.rename(path.with_name(f"{path.name}.{why}"))


class Checkpointing:
    """Saves the state when a checkpoint is due.

    The best epoch is always one whose checkpoint is on disk: if that of a new best epoch can't be written, the one
    before is the best again.

    Args:
        checkpoints: where to; None saves nothing.
        every: how often.
        best: the metric of an epoch that decides which checkpoint is the best, or None.
        maximize: whether a higher value of that metric is better.
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
        """Returns the last intact checkpoint, or None.

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
            warn(f"the best checkpoint, at step {best}, is missing; from here on the best is determined anew.")
            return replace(snapshot, values={**snapshot.values, "best": None})
        return snapshot

    def last_good(self, step: int) -> Snapshot | None:
        """Returns the checkpoint to return to when the loss of the last of `step` steps isn't finite, or None."""
        snapshot = self.newest()
        # If the very next loss isn't finite, the saved weights had already diverged, whatever the learning rate.
        while self._checkpoints and snapshot and snapshot.step == step - 1:
            self._checkpoints.discard(snapshot.step)
            snapshot = self.newest()
        return snapshot

    def distance(self, step: int) -> float:
        """Returns the number of steps to the next save, or infinity."""
        return self._every.distance(step)

    def after_call(self, state: "TrainingState", progress: Progress) -> None:
        """Saves in the middle of an epoch, if a checkpoint is due."""
        if self._checkpoints and self._every.due(progress.step):
            self.save(state, progress)

    def after_epoch(self, state: "TrainingState", progress: Progress, metrics: Mapping[str, float]) -> None:
        """Saves at the end of an epoch, if a checkpoint is due or the epoch is the best so far."""
        if self._checkpoints is None:
            return
        self._settle_best(progress)
        before = progress.best
        is_best = self._best is not None and self._is_better(metrics[self._best], before)
        if is_best:
            progress.best = Best(metrics[str(self._best)], progress.step)
        if is_best or self._every.due(progress.step):
            self.save(state, progress)
        self._is_best_being_written, self._best_before = is_best, before

    def finish(self, state: "TrainingState", progress: Progress) -> None:
        """Saves when training ends or a signal stops it, and returns when the file is on disk."""
        if self._checkpoints is None:
            return
        self._checkpoints.wait()
        # Also after a save at the same step: a signal may have come between an epoch's last step and its end.
        if self._saved_at != progress.step or progress.done or self._checkpoints.error:
            self.save(state, progress)
        self._checkpoints.wait()
        self._settle_best(progress)

    def save(self, state: "TrainingState", progress: Progress) -> None:
        """Saves the present state; the file is written in the background."""
        if self._checkpoints is None:
            return
        self._settle_best(progress)
        self._checkpoints.save(state.capture())
        self._saved_at = progress.step
        self._every.happened()

    def _settle_best(self, progress: Progress) -> None:
        """Waits for the checkpoint of the best epoch, if it is being written, and reverts `best` if that failed."""
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
