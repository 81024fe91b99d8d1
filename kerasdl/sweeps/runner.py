"""One machine's part in a sweep, from its first trial to its last.

Nothing is trained here: an `Executor` runs the trials, a `TrialQueue` decides which is next, Optuna's storage holds
their state (`Study`), and the results go to MLflow (`ParentRun`).
"""

import time
from collections.abc import Callable, Sequence

from omegaconf import DictConfig
from optuna.exceptions import StorageInternalError

from kerasdl import console
from kerasdl.errors import ResumeError, UserError
from kerasdl.runs import RunFolder
from kerasdl.sweeps import results
from kerasdl.sweeps.composer import Composer
from kerasdl.sweeps.display import Display
from kerasdl.sweeps.executors.executor import Executor
from kerasdl.sweeps.liveness import HeartbeatMonitor
from kerasdl.sweeps.open_study import open_study
from kerasdl.sweeps.parent_run import ParentRun, folder_of
from kerasdl.sweeps.pictures import drawing
from kerasdl.sweeps.running_trials import RunningTrials
from kerasdl.sweeps.space import Space
from kerasdl.sweeps.study import Study
from kerasdl.sweeps.trial_queue import TrialQueue
from kerasdl.sweeps.trials import DONE, Objective, State
from kerasdl.tracking import secrets
from kerasdl.training.interrupts import Interrupts

# After so many missing heartbeats a machine is taken for dead.
_MISSED_HEARTBEATS = 3


class SweepRunner:
    """Runs a sweep's trials on an executor.

    Args:
        config: the sweep's configuration.
        name: of the sweep.
        objectives: what it optimises.
        space: what it searches.
        composer: composes configurations of trials.
        executor: where trials run; closed when they are over, however that happens.
        now: a clock in seconds that never goes back.
    """

    def __init__(
        self,
        config: DictConfig,
        name: str,
        objectives: Sequence[Objective],
        space: Space,
        composer: Composer,
        executor: Executor,
        now: Callable[[], float] = time.monotonic,
    ):
        self._config = config
        self._settings = config.sweep
        self._name = name
        self._objectives = tuple(objectives)
        self._space = space
        self._composer = composer
        self._executor = executor
        self._now = now
        self._monitor = HeartbeatMonitor(_MISSED_HEARTBEATS * self._settings.heartbeat, now)
        self._sent_heartbeat = self._looked_at_others = now()
        self._parent: ParentRun
        self._study: Study
        self._queue: TrialQueue
        self._display: Display
        self._trials: RunningTrials

    def run(self) -> int:
        """Runs trials until none is left; returns the exit code.

        Raises:
            UserError: something that can be refused before the first trial; another process of this machine already
                runs the sweep; the storage can no longer be reached.
        """
        folder = folder_of(self._config.paths.output_dir, self._name, self._config.tracking.experiment)
        self._parent = ParentRun(self._config, self._name, folder, self._objectives)
        self._parent.tracker.check(folder.record.run_id)
        self._study = open_study(self._config, self._name, self._objectives)
        self._queue = TrialQueue(self._config, self._study, self._space, self._composer)
        self._lock(folder)
        imports = None
        with Interrupts("Stopping: the running trials save their state first.") as interrupts:
            try:
                self._composer.freeze(folder.path / "conf")
                if self._prepare() and self._parent.is_complete:
                    return self._conclude(None)
                self._parent.start(self._study, self._space)
                imports = drawing.prepare() if self._config.tracking.backend != "none" else None
                self._run_trials(interrupts)
                self._finish_parent(interrupts)
                return self._conclude(interrupts.requested)
            finally:
                self._executor.close()
                folder.unlock()
                if imports:
                    imports.join()

    # Before the first trial

    def _lock(self, folder: RunFolder) -> None:
        folder.tracking.mkdir(parents=True, exist_ok=True)
        try:
            folder.lock()
        except ResumeError as error:
            holder = str(error).partition(" by ")[2].partition(". ")[0]
            raise UserError(
                f"sweep {self._name} is already being run by {holder}. Wait for it or end it, or give this sweep "
                "another sweep.name."
            ) from None

    def _prepare(self) -> bool:
        """Fills the queue and prints what is about to happen; returns whether every trial has a result already."""
        existing = self._study.trials()
        if not existing or not results.is_complete(existing):
            self._executor.warm_up()  # while configurations are composed here and MLflow is opened
        self._queue.prepare()
        trials, total, slots = self._queue.trials(), self._queue.total, self._executor.slots
        done = sum(trial.state in DONE for trial in trials)
        self._display = Display(self._name, self._objectives, total, self._config.trainer.epochs, slots)
        self._trials = RunningTrials(
            self._config, self._name, self._objectives, self._executor,
            self._study, self._queue, self._parent, self._display.say, self._now,
        )  # fmt: skip
        console.row("sweep", f"{self._name}: {total} trials, {done} of them done, {self._settings.sampler}")
        console.row("jobs", f"{slots} at once, each with {self._executor.describe()}")
        console.row("results", self._parent.tracker.describe())
        return done == total

    # Trials

    def _run_trials(self, interrupts: Interrupts) -> None:
        with self._display:
            try:
                self._display.update(self._queue.trials(), {})
                while self._keep_running(interrupts):
                    self._trials.handle_events()
                    self._watch_other_machines()
                    self._trials.stop_late(self._settings.trial_timeout)
                    self._display.update(self._queue.trials(), self._trials.progress())
            except StorageInternalError as error:
                self._trials.stop_without_study()
                reason = secrets.hide(str(error.__cause__ or error).strip().splitlines()[0])
                raise UserError(
                    f"sweep.storage can no longer be reached ({reason}). The running trials have saved their state. "
                    "Run the same command again when the storage is back."
                ) from error

    def _keep_running(self, interrupts: Interrupts) -> bool:
        """Starts trials while there is room, or stops all; returns whether there is anything left to wait for."""
        if interrupts.requested or self._has_too_many_failures():
            self._trials.stop_all()
            return len(self._trials) > 0
        return self._fill() or len(self._trials) > 0 or self._others_run()

    def _fill(self) -> bool:
        """Starts trials while there is room; returns whether the queue may have more."""
        while self._trials.has_room and not self._has_too_many_failures():
            following = self._queue.next()
            if following is None:
                return False
            self._trials.start(following)
        return not self._has_too_many_failures()

    def _has_too_many_failures(self) -> bool:
        limit = self._settings.max_failures
        return limit is not None and self._trials.failures >= limit

    def _watch_other_machines(self) -> None:
        """Sends a heartbeat, and takes over the trials of machines that send none, each when it is due."""
        now, interval = self._now(), self._settings.heartbeat
        if now - self._sent_heartbeat >= interval:
            self._sent_heartbeat = now
            self._study.beat(self._trials.claims())
        if now - self._looked_at_others >= interval / 2:
            self._looked_at_others = now
            for number in self._study.take_over(self._monitor, self._trials.claims()):
                self._display.say(f"trial {number}: its machine no longer sends a heartbeat; the trial is tried again")

    def _others_run(self) -> bool:
        """Returns whether other machines run trials of this command, which this one takes over if they die."""
        return any(trial.state is State.RUNNING for trial in self._queue.trials())

    # After the last trial

    def _finish_parent(self, interrupts: Interrupts) -> None:
        unfinished = (State.WAITING, State.RUNNING)
        is_over = all(trial.state not in unfinished for trial in self._queue.trials())
        status = "FINISHED" if is_over and not interrupts.requested else "KILLED"
        self._trials.problems += self._parent.finish(self._study.trials(), status)

    def _conclude(self, interrupted: str | None) -> int:
        trials, problems = self._queue.trials(), self._trials.problems
        results.print_results(self._name, trials, self._objectives, self._parent.logs, problems)
        if self._parent.run_id:
            console.row("parent", self._parent.run_id)
            console.row("browse", self._parent.tracker.ui_command())
        return results.exit_code(trials, problems, interrupted)
