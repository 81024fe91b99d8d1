"""A sweep's trials in Optuna: which one is next, who works on which, and the results.

Optuna's storage holds the one true state of a sweep, for all machines. A trial is a configuration: the hash of all that
decides its result identifies it, and is kept as an attribute. An interrupted trial returns to WAITING with its reports,
so that a pruner sees it as it was. A failed trial stays FAIL; trying it again adds another of Optuna's trials, whose
`original` is the number of the first. When two machines add or take the same configuration at once, the one with the
lower number stays, and the other is marked as `dropped`.
"""

import contextlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from kerasdl.sweeps import liveness
from kerasdl.sweeps.optuna_trials import STATES, Claim, as_trial, claim_of, first_attempt, next_attempt, waiting_trial
from kerasdl.sweeps.samplers import ReseededSampler, draw
from kerasdl.sweeps.space import Space, Value
from kerasdl.sweeps.trials import State, Trial

# The study's attribute that says which process created it (`liveness.this_process`).
CREATOR = "maker"
_ACTIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


class Study:
    """One study; one thread of one process uses it.

    Args:
        study: Optuna's.
        sampler: chooses values; the study's own.
        is_new: whether this process created the study, just now.
    """

    def __init__(self, study: optuna.Study, sampler: ReseededSampler, is_new: bool):
        self.is_new = is_new
        self._study = study
        self._sampler = sampler
        # Not the storage it was opened with: the study's reads a finished trial only once. All of 600 trials take 10 ms
        # instead of 400.
        self._storage = study._storage
        self._id = study._study_id
        self._has_one_objective = len(study.directions) == 1

    # The whole study

    def trials(self) -> list[Trial]:
        """Returns all trials, each once, however many attempts it took, by number."""
        latest: dict[int, FrozenTrial] = {}
        for trial in self._all():
            latest[first_attempt(trial)] = trial
        return [as_trial(trial) for _, trial in sorted(latest.items())]

    def was_created_by_another(self) -> bool:
        """Returns whether another process created the study that isn't known to have ended."""
        return not self.is_new and not liveness.has_ended(self.attribute(CREATOR) or {})

    def attribute(self, name: str) -> Any:
        """Returns an attribute of the study, which all machines see, or None."""
        return self._study.user_attrs.get(name)

    def set_attribute(self, name: str, value: Any) -> None:
        self._study.set_user_attr(name, value)

    # Adding trials

    def add(self, space: Space, chosen: Mapping[str, Value], config_hash: str) -> None:
        """Adds a trial whose values are known."""
        attributes = {"chosen": dict(chosen), "overrides": space.by_name(chosen), "config_hash": config_hash}
        try:
            self._study.add_trial(waiting_trial(space, chosen, attributes))
        except ValueError:
            # Optuna's categories can't grow, a grid's values can: then they are in the attributes only.
            self._study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, user_attrs=attributes))

    def add_unsampled(self, attempt: int = 0) -> None:
        """Adds a trial whose values the sampler will choose; `attempt` counts draws that gave an existing trial."""
        self._study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, user_attrs={"attempt": attempt}))

    def retry_failed(self, numbers: Iterable[int]) -> None:
        """Adds another attempt for each of these trials whose latest attempt has failed."""
        wanted = set(numbers)
        latest = {first_attempt(trial): trial for trial in self._all()}
        for number, trial in latest.items():
            if number in wanted and trial.state is TrialState.FAIL:
                self._study.add_trial(next_attempt(trial))

    # Working on trials

    def claim(self, hashes: Container[str] | None, total: int | None, excluded: Container[int] = ()) -> Claim | None:
        """Takes a waiting trial for this process, or returns None if there is none.

        Args:
            hashes: configurations that belong to the command; None takes every waiting trial.
            total: how many trials the study is to have; later ones are dropped.
            excluded: numbers of trials to leave alone.
        """
        for trial in self._all((TrialState.WAITING,)):
            config_hash = trial.user_attrs.get("config_hash")
            if first_attempt(trial) in excluded or (hashes is not None and config_hash not in hashes):
                continue
            # The storage lets only one process do this, and only that one sets itself as the owner. If it is killed in
            # between, the trial has no owner and no heartbeat, and is taken over.
            if not self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                continue
            self._set(trial, owner=liveness.this_process())
            if self._is_surplus(trial, total) or self._duplicate(trial, config_hash):
                self.drop(trial._trial_id)
                continue
            return claim_of(trial)
        return None

    def sample(self, claim: Claim, space: Space) -> dict[str, Value]:
        """Lets the sampler choose the values of a claimed trial, and returns them by axis key.

        Raises:
            ConfigError: the space differs from that of the study's earlier trials.
        """
        frozen = self._storage.get_trial(claim.id)
        self._sampler.reseed(self._index(claim.number), frozen.user_attrs.get("attempt", 0))
        return draw(self._study, claim.id, space)

    def identify(self, claim: Claim, space: Space, chosen: dict[str, Value], config_hash: str) -> Trial | None:
        """Keeps the configuration of a claimed trial; returns the trial that already has this configuration, if any."""
        self._set(claim.id, chosen=chosen, overrides=space.by_name(chosen), config_hash=config_hash)
        duplicate = self._duplicate(self._storage.get_trial(claim.id), config_hash)
        return as_trial(duplicate) if duplicate else None

    def keep(self, claim: Claim, **attributes: Any) -> None:
        """Keeps attributes of a claimed trial: `folder`, `run_id`, `epoch`, `seconds`."""
        self._set(claim.id, **attributes)

    def report(self, claim: Claim, step: int, value: float, epoch: int) -> None:
        """Keeps the first objective's value at a training step, unless it was reported before an interruption."""
        trial = self._storage.get_trial(claim.id)
        steps = trial.user_attrs.get("steps", [])
        if step in steps:
            return
        # The steps come last: if the process is killed before, the report is made again, in the same place.
        if self._has_one_objective:
            with _unless_taken():
                # By evaluation, because a step of a small batch is less than a step of a large one.
                self._storage.set_trial_intermediate_value(claim.id, len(steps) + 1, value)
        else:  # Optuna takes no reports with several objectives
            self._set(claim.id, reports=[*trial.user_attrs.get("reports", [])[: len(steps)], value])
        self._set(claim.id, steps=[*steps, step], epoch=epoch)

    def last_report(self, claim: Claim) -> list[float] | None:
        """Returns a trial's last reported value, the result of a pruned trial; None before the first report."""
        reported = self._storage.get_trial(claim.id).intermediate_values
        return [reported[max(reported)]] if reported else None

    def should_prune(self, claim: Claim) -> bool:
        """Returns whether the pruner ends a claimed trial after its last report."""
        if not self._has_one_objective:
            return False
        with _unless_taken():
            return self._study.pruner.prune(self._study, self._storage.get_trial(claim.id))
        return False

    def finish(self, claim: Claim, state: State, values: Sequence[float] | None, **attributes: Any) -> bool:
        """Ends a claimed trial; returns False if another machine has taken it in the meantime.

        Args:
            claim: the trial.
            state: FINISHED, PRUNED or FAILED.
            values: of the objectives; None if it failed.
            attributes: `epoch`, `seconds`, `run_id`, `error`.
        """
        stored = {ours: theirs for theirs, ours in STATES.items()}[state]
        with _unless_taken():
            self._set(claim.id, **attributes)
            if stored is not TrialState.FAIL:
                self._sampler.after_trial(self._study, self._storage.get_trial(claim.id), stored, values)
            self._storage.set_trial_state_values(claim.id, stored, values)
            return True
        return False

    def release(self, claim: Claim, **attributes: Any) -> None:
        """Puts a claimed trial back, to be resumed later."""
        # Without its owner, which may be dead: the next one would look dead until it has set itself as the owner.
        self._set(claim.id, owner={}, **attributes)
        with _unless_taken():
            self._storage.set_trial_state_values(claim.id, TrialState.WAITING)

    def drop(self, trial_id: int) -> None:
        """Takes out of the study a trial that is a duplicate, or one too many."""
        self._set(trial_id, dropped=True)
        with _unless_taken():
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)

    # Trials of dead processes and machines

    def orphans(self) -> list[Claim]:
        """Returns the running trials whose process on this machine has ended."""
        running = self._all((TrialState.RUNNING,))
        return [claim_of(trial) for trial in running if liveness.has_ended(trial.user_attrs.get("owner", {}))]

    def beat(self, claims: Iterable[Claim]) -> None:
        """Sends a heartbeat for claimed trials."""
        for claim in claims:
            trial = self._storage.get_trial(claim.id)
            self._set(claim.id, beat=trial.user_attrs.get("beat", 0) + 1)

    def take_over(self, monitor: liveness.HeartbeatMonitor, own: Iterable[Claim]) -> list[int]:
        """Adds another attempt for the trials of machines without a heartbeat; returns the trials' numbers."""
        ours = {claim.id for claim in own}
        running = {trial._trial_id: trial for trial in self._all((TrialState.RUNNING,)) if trial._trial_id not in ours}
        known = {trial_id: trial.user_attrs for trial_id, trial in running.items()}
        heartbeats = {
            trial_id: (attributes.get("owner"), attributes.get("beat")) for trial_id, attributes in known.items()
        }
        taken = []
        for trial in (running[trial_id] for trial_id in monitor.silent(heartbeats)):
            try:  # the storage lets only one machine do this
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            except UpdateFinishedTrialError:
                continue
            self._study.add_trial(next_attempt(trial))
            taken.append(first_attempt(trial))
        return taken

    def _all(self, states: tuple[TrialState, ...] | None = None) -> list[FrozenTrial]:
        found = self._storage.get_all_trials(self._id, deepcopy=False, states=states)
        return [trial for trial in found if not trial.user_attrs.get("dropped")]

    def _index(self, number: int) -> int:
        """Returns how many trials come before this one; attempts at the same trial count once."""
        return sum(other < number for other in {first_attempt(trial) for trial in self._all()})

    def _is_surplus(self, trial: FrozenTrial, total: int | None) -> bool:
        return total is not None and self._index(first_attempt(trial)) >= total

    def _duplicate(self, trial: FrozenTrial, config_hash: str | None) -> FrozenTrial | None:
        """Returns the trial with the same configuration that is to stay instead: a finished one, or an earlier one."""
        if config_hash is None:
            return None
        for other in self._all(_ACTIVE):
            if other._trial_id == trial._trial_id or other.user_attrs.get("config_hash") != config_hash:
                continue
            if other.state in (TrialState.COMPLETE, TrialState.PRUNED) or other.number < trial.number:
                return other
        return None

    def _set(self, trial: FrozenTrial | int, **attributes: Any) -> None:
        trial_id = trial if isinstance(trial, int) else trial._trial_id
        with _unless_taken():
            for key, value in attributes.items():
                self._storage.set_trial_user_attr(trial_id, key, value)


@contextlib.contextmanager
def _unless_taken() -> Iterator[None]:
    """Leaves the block when it changes a trial that another machine has taken over; `finish` will report that.

    It can happen to a machine that was asleep: its trial has ended in the storage while its process lives.
    """
    with contextlib.suppress(UpdateFinishedTrialError):
        yield
