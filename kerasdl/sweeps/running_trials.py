"""The trials that run for this process: started on an executor, reported to the study, stopped if need be."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

from kerasdl.sweeps import results, trial_runs
from kerasdl.sweeps.executors.executor import Ended, Evaluation, Executor, TrialJob
from kerasdl.sweeps.optuna_trials import Claim
from kerasdl.sweeps.parent_run import ParentRun
from kerasdl.sweeps.progress import TrialProgress
from kerasdl.sweeps.study import Study
from kerasdl.sweeps.trial_queue import NextTrial, TrialQueue
from kerasdl.sweeps.trials import Objective, State

_INTERRUPTED = "interrupted"
_TIMED_OUT = "timed out"
# How long events are waited for before the clock is looked at again.
_EVENT_SECONDS = 1.0


@dataclass
class _Running:
    """A trial that the executor runs.

    Attributes:
        claim: on the trial.
        folder: name of its run's folder.
        began: when, by the clock.
        progress: as of its last evaluation.
        stopped: why it was asked to stop; None if it wasn't.
    """

    claim: Claim
    folder: str
    began: float
    progress: TrialProgress
    stopped: str | None = None


class RunningTrials:
    """Runs trials on an executor, and keeps in the study what becomes of them.

    Attributes:
        failures: how many trials have failed.
        problems: what else went wrong, a line each.

    Args:
        config: the sweep's configuration.
        name: of the sweep.
        objectives: what it optimises.
        executor: where trials run.
        study: gets reports and results.
        queue: gets back trials that were interrupted.
        parent: the sweep's own run.
        say: shows a line to the user.
        now: a clock in seconds that never goes back.
    """

    def __init__(
        self,
        config: DictConfig,
        name: str,
        objectives: Sequence[Objective],
        executor: Executor,
        study: Study,
        queue: TrialQueue,
        parent: ParentRun,
        say: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ):
        self.failures = 0
        self.problems: list[str] = []
        self._config = config
        self._name = name
        self._objectives = objectives
        self._executor = executor
        self._study = study
        self._queue = queue
        self._parent = parent
        self._say = say
        self._now = now
        self._running: dict[int, _Running] = {}

    def __len__(self) -> int:
        return len(self._running)

    @property
    def has_room(self) -> bool:
        return len(self._running) < self._executor.slots

    def claims(self) -> list[Claim]:
        """Returns the claims on the trials that run."""
        return [trial.claim for trial in self._running.values()]

    def progress(self) -> dict[int, TrialProgress]:
        """Returns the progress of the trials that run, by number."""
        now = self._now()
        return {
            number: replace(trial.progress, seconds=trial.claim.seconds + now - trial.began)
            for number, trial in self._running.items()
        }

    def start(self, following: NextTrial) -> None:
        """Starts a claimed trial, unless its result is known or its configuration can't work."""
        claim, planned, duplicate = following.claim, following.planned, following.duplicate
        if duplicate is not None:
            metrics, number = dict(duplicate.metrics), duplicate.number
            self._end(
                claim, duplicate.state, duplicate.values, metrics=metrics, run_id=duplicate.run_id, same_as=number
            )
        elif planned.config is None:
            self._fail(claim, planned.error or "", 0.0)
        else:
            folder = f"{self._name}-{planned.config_hash}"
            self._study.keep(claim, folder=folder)
            config = trial_runs.run_config(
                planned.config, self._name, claim.number, following.overrides, self._parent.run_id
            )
            log = self._parent.logs / f"trial-{claim.number}.log"
            self._executor.start(TrialJob(claim.number, folder, config, planned.config_hash, log))
            progress = TrialProgress(0, config.trainer.epochs, None, claim.seconds)
            self._running[claim.number] = _Running(claim, folder, self._now(), progress)

    def handle_events(self) -> None:
        """Waits up to a second for events, and handles those that have happened."""
        for event in self._executor.events(_EVENT_SECONDS):
            trial = self._running[event.number]
            if isinstance(event, Evaluation):
                self._on_evaluation(trial, event)
            else:
                self._on_end(trial, event)

    def stop_all(self) -> None:
        """Asks all trials to save their state and end; they wait for the next run of the command."""
        for trial in self._running.values():
            self._stop(trial, _INTERRUPTED)

    def stop_late(self, limit: float | None) -> None:
        """Asks trials to end that have run for longer than `limit` seconds; they have failed."""
        for trial in self._running.values():
            if limit is not None and self._now() - trial.began > limit:
                self._stop(trial, _TIMED_OUT)

    def stop_without_study(self) -> None:
        """Asks all trials to save their state, and waits until they have ended, where the study can't be reached."""
        self.stop_all()
        while self._running:
            for event in self._executor.events(_EVENT_SECONDS):
                if isinstance(event, Evaluation):
                    event.reply(False)
                else:
                    del self._running[event.number]

    def _stop(self, trial: _Running, reason: str) -> None:
        if trial.stopped is None:
            trial.stopped = reason
            self._executor.stop(trial.claim.number)

    def _on_evaluation(self, trial: _Running, event: Evaluation) -> None:
        value = event.metrics.get(self._objectives[0].metric)
        prune = False
        if value is not None:
            self._study.report(trial.claim, event.step, value, event.epoch)
            prune = self._study.should_prune(trial.claim)
        trial.progress = replace(trial.progress, epoch=event.epoch, metric=value)
        event.reply(prune)

    def _on_end(self, trial: _Running, ended: Ended) -> None:
        claim = trial.claim
        died = ended.trace is None
        if ended.status in ("KILLED", "FAILED") and died:
            # It may have died between the end of its run and its last message.
            recorded = trial_runs.recorded_end(self._config.paths.output_dir, trial.folder, claim.number)
            ended = replace(recorded, seconds=ended.seconds) if recorded else ended
        seconds = claim.seconds + ended.seconds
        if ended.status in ("FINISHED", "PRUNED"):
            self._keep_result(trial, ended, seconds)
        elif trial.stopped == _TIMED_OUT:
            error = f"it took longer than sweep.trial_timeout={self._config.sweep.trial_timeout:g} s"
            trial_runs.end_run(self._config, trial.folder, "FAILED", error)
            self._fail(claim, error, seconds, run_id=ended.run_id)
        elif ended.status == "KILLED":
            self._queue.put_back(claim, seconds=seconds, **({"run_id": ended.run_id} if ended.run_id else {}))
            del self._running[claim.number]
        else:
            if died:
                trial_runs.end_run(self._config, trial.folder, "FAILED", ended.error or "")
            self._fail(claim, ended.error or "", seconds, run_id=ended.run_id, trace=ended.trace)

    def _keep_result(self, trial: _Running, ended: Ended, seconds: float) -> None:
        claim, metrics, run_id = trial.claim, dict(ended.metrics), ended.run_id
        if ended.status == "PRUNED":
            value = self._study.last_report(claim)
            self._end(claim, State.PRUNED, value, seconds=seconds, run_id=run_id, metrics=metrics)
        else:
            values = results.values_of({**metrics, "seconds": seconds}, self._objectives)
            if isinstance(values, str):
                self._fail(claim, values, seconds, run_id=run_id)
            else:
                epochs = trial.progress.epochs
                self._end(claim, State.FINISHED, values, epoch=epochs, seconds=seconds, run_id=run_id, metrics=metrics)
        if ended.error:
            self.problems.append(f"trial {claim.number}: {ended.error}")

    def _fail(self, claim: Claim, error: str, seconds: float, **attributes: Any) -> None:
        self.failures += 1
        self._end(claim, State.FAILED, None, error=error, seconds=seconds, **attributes)

    def _end(self, claim: Claim, state: State, values: Sequence[float] | None, **attributes: Any) -> None:
        attributes = {key: value for key, value in attributes.items() if value is not None}
        if not self._study.finish(claim, state, values, **attributes):
            self._say(f"trial {claim.number}: another machine has taken it over; its result here is not used")
        self._running.pop(claim.number, None)
        self._parent.log_progress(self._study.trials())
