"""A sweep from its first trial to its last: who is next, what trials say, what that means, and what is left to do.

Nothing here trains: trials run in processes of their own (`processes`, `worker`), the truth about them is in Optuna
(`study`), and what came out goes to MLflow (`parent`).
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.exceptions import StorageInternalError

from kerasdl import console
from kerasdl.errors import ResumeError, UserError
from kerasdl.sweeps import owner, pictures, plan
from kerasdl.sweeps.display import Display, Progress
from kerasdl.sweeps.ending import tell
from kerasdl.sweeps.frozen import Composer
from kerasdl.sweeps.parent import Parent, folder_of
from kerasdl.sweeps.plan import Planned
from kerasdl.sweeps.processes import Process, Processes, cores, visible_gpus
from kerasdl.sweeps.settings import describe, shown
from kerasdl.sweeps.space import Space
from kerasdl.sweeps.stored import Claim
from kerasdl.sweeps.study import Study
from kerasdl.sweeps.trials import DONE, Objective, State, Trial, label, values_of
from kerasdl.sweeps.worker import Ended, Evaluation, ended_before
from kerasdl.tracking import secrets
from kerasdl.training.interrupts import Interrupts

_INTERRUPTED = "interrupted"
_TIMED_OUT = "timed out"
# A machine is given up after so many heartbeats that didn't come.
_MISSED_BEATS = 3
# A sampler that proposes nothing new so often in a row has nothing new.
_MAX_REDRAWS = 20


class Campaign:
    """One machine's part in a sweep.

    Args:
        master: the sweep's configuration.
        name: of the sweep.
        goals: what it looks for.
        space: what it spans.
        composer: composes configurations of trials.
    """

    def __init__(self, master: DictConfig, name: str, goals: Sequence[Objective], space: Space, composer: Composer):
        self._master = master
        self._settings = master.sweep
        self._name = name
        self._goals = tuple(goals)
        self._space = space
        self._composer = composer
        self._planned: dict[str, Planned] = {}
        self._by_values: dict[str, Planned] = {}
        self._claims: dict[int, Claim] = {}
        self._progress: dict[int, Progress] = {}
        self._folders: dict[int, str] = {}  # of the trials' runs
        self._earlier: dict[int, float] = {}  # seconds of a trial's earlier attempts
        self._put_back: set[int] = set()  # trials that were stopped from outside; not taken again this time
        self._failures = 0
        self._redraws = 0
        self._problems: list[str] = []
        self._pulse = owner.Pulse(_MISSED_BEATS * self._settings.heartbeat)
        self._beaten = self._looked = time.monotonic()
        self._imports: threading.Thread | None = None
        self._processes = Processes(self._settings.jobs, visible_gpus(), cores())
        self._study: Study
        self._parent: Parent
        self._display: Display

    def run(self) -> int:
        """Runs until nothing is left to do; returns the exit code.

        Raises:
            UserError: what can be refused before the first trial; another process of this machine runs the sweep.
        """
        folder = folder_of(self._master.paths.output_dir, self._name, self._master.tracking.experiment)
        self._parent = Parent(self._master, self._name, folder, self._goals)
        self._parent.tracker.check(folder.record.run_id)
        self._study = plan.open_study(self._master, self._name, self._goals)
        folder.tracking.mkdir(parents=True, exist_ok=True)
        try:
            folder.lock()
        except ResumeError as error:
            raise UserError(
                f"sweep {self._name} is being run by {str(error).partition(' by ')[2].partition('. ')[0]}. Wait for it "
                "or end it; give another sweep another sweep.name."
            ) from None
        with Interrupts("Stopping: the running trials save their state first.") as interrupts:
            try:
                self._composer.freeze(folder.path / "conf")
                if self._plan() and self._parent.is_whole:
                    return tell(self._name, self._trials(), self._goals, self._parent, [], None)
                self._begin()
                with self._display:
                    try:
                        self._loop(interrupts)
                    except StorageInternalError as error:
                        self._save_all()
                        reason = secrets.hide(str(error.__cause__ or error).strip().splitlines()[0])
                        raise UserError(
                            f"sweep.storage can't be reached any more ({reason}). The running trials have saved their "
                            "state: type the same command again when it is back."
                        ) from error
                return self._conclude(interrupts)
            finally:
                self._processes.kill()
                folder.unlock()
                if self._imports:
                    self._imports.join()

    # The beginning

    def _plan(self) -> bool:
        """Adds what the command has and the study hasn't, and puts back what a killed process left.

        Returns:
            Whether nothing is left to do.
        """
        if not _all_done(self._study.trials()):
            self._processes.warm_up()  # meanwhile configurations are composed here, and MLflow is opened
        if self._settings.sampler == "grid":
            self._planned = plan.grid(self._composer, self._space)
            self._by_values = {_key(one.chosen): one for one in self._planned.values()}
        else:
            plan.check_unchanged(self._composer, self._space, self._study.trials(), self._master.paths.output_dir)
        for claim in self._study.orphans():
            self._study.release(claim)
        trials = self._study.trials()
        known = {trial.config_hash for trial in trials}
        for config_hash, one in self._planned.items():
            if config_hash not in known:
                self._study.add(self._space, dict(one.chosen), config_hash)
        self._study.retry_failed(trial.number for trial in self._trials() if trial.state is State.FAILED)
        trials = self._trials()
        self._earlier = {trial.number: trial.seconds for trial in trials}
        total = max(self._total or 0, len(trials))
        done = sum(trial.state in DONE for trial in trials)
        self._display = Display(self._name, self._goals, total, self._master.trainer.epochs, self._settings.jobs)
        console.row("sweep", f"{self._name}: {total} trials, {done} of them done, {self._settings.sampler}")
        console.row("jobs", f"{self._settings.jobs} at once, each with {self._processes.share()}")
        console.row("results", self._parent.tracker.describe())
        return done == total

    def _begin(self) -> None:
        self._parent.begin(self._study, describe(self._master, self._space), OmegaConf.to_yaml(shown(self._master)))
        self._imports = pictures.prepare()

    @property
    def _total(self) -> int | None:
        return None if self._settings.sampler == "grid" else self._settings.trials

    def _trials(self) -> list[Trial]:
        """Returns the trials that belong to the command: of a grid those that it spans now."""
        trials = self._study.trials()
        return [trial for trial in trials if trial.config_hash in self._planned] if self._planned else trials

    # The middle

    def _loop(self, interrupts: Interrupts) -> None:
        self._display.update(self._trials(), {})
        while True:
            if interrupts.requested or self._is_hopeless():
                self._processes.stop(self._processes.running.values(), _INTERRUPTED)
                if not self._processes.running:
                    return
            elif not self._fill() and not self._processes.running and not self._others_run():
                return
            for process, said in self._processes.events(timeout=1.0):
                if isinstance(said, Evaluation):
                    self._on_evaluation(process, said)
                else:
                    self._on_end(process, said)
            self._watch_clock()
            self._show()

    def _save_all(self) -> None:
        """Stops the running trials at their next checkpoint, without noting it anywhere."""
        self._processes.stop(self._processes.running.values(), _INTERRUPTED)
        while self._processes.running:
            for process, said in self._processes.events(timeout=1.0):
                if isinstance(said, Evaluation):
                    self._processes.answer(process, stop=False)
            self._processes.enforce()

    def _fill(self) -> bool:
        """Starts trials while there is room; returns whether some may still wait."""
        while self._processes.has_room and not self._is_hopeless():
            claim = self._next()
            if claim is None:
                return False
            self._start(claim)
        return not self._is_hopeless()

    def _next(self) -> Claim | None:
        hashes = self._planned if self._settings.sampler == "grid" else None
        claim = self._study.claim(hashes, self._total, self._put_back)
        if claim is None and self._total is not None and self._redraws <= _MAX_REDRAWS:
            if len(self._study.trials()) >= self._total:
                return None
            self._study.add_unsampled(self._redraws)
            claim = self._study.claim(None, self._total, self._put_back)
        return claim

    def _start(self, claim: Claim) -> None:
        """Starts a claimed trial, unless its result is known or it can't work."""
        self._claims[claim.number] = claim
        chosen = claim.chosen if claim.chosen is not None else self._study.sample(claim, self._space)
        one = self._planned_for(chosen)
        twin = self._study.identify(claim, self._space, chosen, one.config_hash)
        if twin is not None and twin.values is None:
            # Being trained at this moment: another draw is worth more than a second look at the same.
            self._study.drop(claim.id)
            del self._claims[claim.number]
            self._redraws += 1
            return
        self._redraws = 0
        if twin is not None:
            self._end(
                claim, twin.state, twin.values, metrics=dict(twin.metrics), run_id=twin.run_id, same_as=twin.number
            )
        elif one.config is None:
            self._fail(claim, one.error or "", 0.0)
        else:
            folder = self._folders[claim.number] = f"{self._name}-{one.config_hash}"
            self._study.note(claim, folder=folder)
            config = self._trial_config(one.config, claim.number, chosen)
            log = self._parent.logs / f"trial-{claim.number}.log"
            self._processes.start(claim.number, name=folder, config=config, config_hash=one.config_hash, log=log)
            self._progress[claim.number] = Progress(
                0, config.trainer.epochs, None, self._earlier.get(claim.number, 0.0)
            )

    def _planned_for(self, chosen: dict) -> Planned:
        return self._by_values.get(_key(chosen)) or plan.compose(self._composer, self._space, chosen)

    def _trial_config(self, config: DictConfig, number: int, chosen: dict) -> DictConfig:
        """Returns the configuration as the trial's run gets it: its place in MLflow added."""
        config = OmegaConf.create(config)
        prefix = f"{config.tracking.run_name} " if config.tracking.run_name else ""
        config.tracking.run_name = f"{prefix}{label(self._space.shown(chosen)) or self._name}"
        tags = {"kerasdl.sweep": self._name, "kerasdl.trial": str(number)}
        if self._parent.run_id:
            tags["mlflow.parentRunId"] = self._parent.run_id
        OmegaConf.update(config, "tracking.tags", tags, merge=True, force_add=True)
        return config

    def _on_evaluation(self, process: Process, said: Evaluation) -> None:
        claim, before = self._claims[process.number], self._progress[process.number]
        value = said.metrics.get(self._goals[0].metric)
        stop = False
        if value is not None:
            self._study.report(claim, said.step, value, said.epoch)
            stop = self._study.should_prune(claim)
        self._progress[process.number] = Progress(said.epoch, before.epochs, value, self._seconds(process), said.step)
        self._processes.answer(process, stop)

    def _on_end(self, process: Process, ended: Ended) -> None:
        claim = self._claims[process.number]
        folder = self._folders[claim.number]
        if ended.status in ("KILLED", "FAILED") and ended.trace is None:
            # It may have died behind its run's end and before its last word.
            end = ended_before(self._master.paths.output_dir, folder)
            ended = replace(end, seconds=ended.seconds) if end else ended
        seconds = self._earlier.get(claim.number, 0.0) + ended.seconds
        self._earlier[claim.number] = seconds
        why = process.asked[1] if process.asked else None
        known = {"seconds": seconds, "run_id": ended.run_id, "metrics": dict(ended.metrics)}
        values = values_of({**ended.metrics, "seconds": seconds}, self._goals)
        if ended.status in ("FINISHED", "PRUNED"):
            state = State(ended.status)
            if state is State.PRUNED:
                self._end(claim, state, self._study.last_report(claim), **known)
            elif isinstance(values, str):
                self._fail(claim, values, seconds, run_id=ended.run_id)
            else:
                self._end(claim, state, values, epoch=self._progress[claim.number].epochs, **known)
            if ended.error:
                self._problems.append(f"trial {claim.number}: {ended.error}")
        elif ended.status == "KILLED" and why != _TIMED_OUT:
            self._study.release(claim, seconds=seconds, **({"run_id": ended.run_id} if ended.run_id else {}))
            self._put_back.add(claim.number)
            self._forget(claim)
        elif why == _TIMED_OUT:
            error = f"it took longer than sweep.trial_timeout={self._settings.trial_timeout:g} s"
            self._parent.end_child(folder, "FAILED", error)
            self._fail(claim, error, seconds, run_id=ended.run_id)
        else:
            if ended.trace is None:  # its process died, and could tell nobody
                self._parent.end_child(folder, "FAILED", ended.error or "")
            self._fail(claim, ended.error or "", seconds, run_id=ended.run_id, trace=ended.trace)

    def _fail(self, claim: Claim, error: str, seconds: float, **attributes: Any) -> None:
        self._failures += 1
        self._end(claim, State.FAILED, None, error=error, seconds=seconds, **attributes)

    def _end(self, claim: Claim, state: State, values: Any, **attributes: Any) -> None:
        attributes = {key: value for key, value in attributes.items() if value is not None}
        if not self._study.finish(claim, state, values, **attributes):
            self._display.say(f"trial {claim.number}: another machine has taken it over; its result here is left out")
        self._forget(claim)
        self._parent.progress(self._study.trials())

    def _forget(self, claim: Claim) -> None:
        self._claims.pop(claim.number, None)
        self._progress.pop(claim.number, None)

    def _watch_clock(self) -> None:
        """Does what is due: sign of life, trials that take too long, machines that are gone."""
        now = time.monotonic()
        if now - self._beaten >= self._settings.heartbeat:
            self._beaten = now
            self._study.beat(self._claims.values())
        if now - self._looked >= self._settings.heartbeat / 2:
            self._looked = now
            for number in self._study.take_over(self._pulse, self._claims.values()):
                self._display.say(f"trial {number}: its machine gives no sign of life; it is tried again")
        if limit := self._settings.trial_timeout:
            late = [process for process in self._processes.running.values() if process.seconds > limit]
            self._processes.stop(late, _TIMED_OUT)
        self._processes.enforce()

    def _is_hopeless(self) -> bool:
        return bool(self._settings.max_failures) and self._failures >= self._settings.max_failures

    def _others_run(self) -> bool:
        """Returns whether other machines work on trials of this command, which may become ours if they die."""
        return any(trial.state is State.RUNNING for trial in self._trials())

    def _seconds(self, process: Process) -> float:
        return self._earlier.get(process.number, 0.0) + process.seconds

    def _show(self) -> None:
        for number, process in self._processes.running.items():
            known = self._progress[number]
            self._progress[number] = replace(known, seconds=self._seconds(process))
        self._display.update(self._trials(), self._progress)

    # The end

    def _conclude(self, interrupts: Interrupts) -> int:
        trials = self._trials()
        is_whole = all(trial.state not in (State.WAITING, State.RUNNING) for trial in trials)
        status = "FINISHED" if is_whole and not interrupts.requested else "KILLED"
        self._problems += self._parent.conclude(self._study.trials(), status)
        return tell(self._name, trials, self._goals, self._parent, self._problems, interrupts.requested)


def _all_done(trials: Sequence[Trial]) -> bool:
    return bool(trials) and all(trial.state in DONE for trial in trials)


def _key(chosen: Mapping[str, Any]) -> str:
    return json.dumps(chosen, sort_keys=True)
