"""A sweep's trials in Optuna: whose turn it is, who works on what, and what came out.

Optuna's storage is the one truth about a sweep, whichever machine asks. A trial is a configuration: the hash of all
that decides its result is its identity, kept as an attribute. What interrupts a trial puts it back to WAITING, with its
reports, so that a pruner sees it where it was. A trial that failed stays FAIL; tried again it is a new one of Optuna's,
with the number of the first as its `original`. Two machines that add or take the same configuration at once agree on
the one with the lower number; the other is `dropped`.
"""

import contextlib
import warnings
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from kerasdl.errors import ConfigError
from kerasdl.sweeps import owner
from kerasdl.sweeps.samplers import Reseeded
from kerasdl.sweeps.space import Space, Value
from kerasdl.sweeps.stored import STATES, Claim, claim_of, original, storable, view
from kerasdl.sweeps.trials import Objective, State, Trial

_MAKER = "maker"
_ACTIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
_KEPT = ("chosen", "overrides", "config_hash", "steps", "epoch", "seconds", "folder", "run_id")


class Study:
    """One study; one thread of one process uses it.

    Attributes:
        is_new: whether this process made it, just now.

    Args:
        storage: Optuna's.
        name: of the study.
        objectives: what it looks for; those of a study that exists must be the same.
        sampler: chooses values.
        pruner: ends hopeless trials.

    Raises:
        ConfigError: the study that exists looks for something else.
    """

    def __init__(
        self,
        storage: optuna.storages.BaseStorage,
        name: str,
        objectives: Sequence[Objective],
        sampler: Reseeded,
        pruner: optuna.pruners.BasePruner,
    ):
        self.objectives = tuple(objectives)
        self._sampler = sampler
        directions: list[Any] = ["maximize" if goal.maximize else "minimize" for goal in objectives]
        metrics = [goal.metric for goal in objectives]
        self.is_new = True
        try:
            self._study = optuna.create_study(
                study_name=name, storage=storage, directions=directions, sampler=sampler, pruner=pruner
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._study.set_metric_names(metrics)
            self._study.set_user_attr(_MAKER, owner.this_process())
        except DuplicatedStudyError:
            self.is_new = False
            self._study = optuna.load_study(study_name=name, storage=storage, sampler=sampler, pruner=pruner)
            known = self._study.metric_names or metrics
            if (known, [direction.name.lower() for direction in self._study.directions]) != (metrics, directions):
                before = _said(known, [direction.name.lower() for direction in self._study.directions])
                raise ConfigError(
                    f"sweep.metric: sweep {name} is to {before}; it can't {_said(metrics, directions)} as well. "
                    "Give the new sweep another sweep.name."
                ) from None
        # Optuna's, which reads a finished trial once: of 600 trials all in 10 ms instead of 400.
        self._storage = self._study._storage
        self._pruner = pruner
        self._id = self._study._study_id

    # Looking

    def trials(self) -> list[Trial]:
        """Returns all trials, each once, whatever attempts it took, in order."""
        latest: dict[int, FrozenTrial] = {}
        for trial in self._all():
            latest[original(trial)] = trial
        return [view(trial) for _, trial in sorted(latest.items())]

    def is_made_by_another(self) -> bool:
        """Returns whether a process made the study that isn't this one, and isn't known to have ended."""
        return not self.is_new and not owner.is_dead(self.attribute(_MAKER) or {})

    def attribute(self, name: str) -> Any:
        """Returns what all machines know about the study under a name, or None."""
        return self._study.user_attrs.get(name)

    def set_attribute(self, name: str, value: Any) -> None:
        self._study.set_user_attr(name, value)

    # Adding

    def add(self, space: Space, chosen: dict[str, Value], config_hash: str) -> None:
        """Adds a trial whose values are known."""
        attributes = {"chosen": chosen, "overrides": space.shown(chosen), "config_hash": config_hash}
        axes = space.axes_of(chosen)
        params = {axis.name: chosen[key] for key, axis in axes.items()}
        distributions = {axis.name: storable(axis.distribution()) for axis in axes.values()}
        try:
            trial = optuna.trial.create_trial(
                state=TrialState.WAITING, params=params, distributions=distributions, user_attrs=attributes
            )
            self._study.add_trial(trial)
        except ValueError:
            # Optuna's categories can't grow, a grid can: its values are in the attributes then, not in the params.
            self._study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, user_attrs=attributes))

    def add_unsampled(self, attempt: int = 0) -> None:
        """Adds a trial whose values the sampler will choose; `attempt` counts redraws of one that came up before."""
        self._study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, user_attrs={"attempt": attempt}))

    def retry_failed(self, numbers: Iterable[int]) -> None:
        """Lets failed trials be tried again."""
        wanted = set(numbers)
        latest = {original(trial): trial for trial in self._all()}
        for number, trial in latest.items():
            if number in wanted and trial.state is TrialState.FAIL:
                self._again(trial)

    # Working

    def claim(self, hashes: Container[str] | None, total: int | None, but: Container[int] = ()) -> Claim | None:
        """Takes a waiting trial for this process, or returns None if there is none.

        Args:
            hashes: identities that belong to the command; None takes every waiting trial.
            total: how many trials there shall be; later ones are dropped.
            but: numbers of trials to leave alone.
        """
        for trial in self._all((TrialState.WAITING,)):
            config_hash = trial.user_attrs.get("config_hash")
            if original(trial) in but or (hashes is not None and config_hash not in hashes):
                continue
            # The storage lets only one process do this, and only that one writes its name. If it is killed in between,
            # the trial has no owner, gives no sign of life and is taken over.
            if not self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                continue
            self._set(trial, owner=owner.this_process())
            if self._is_surplus(trial, total) or self._twin(trial, config_hash):
                self.drop(trial._trial_id)
                continue
            return claim_of(trial)
        return None

    def sample(self, claim: Claim, space: Space) -> dict[str, Value]:
        """Lets the sampler choose the values of a claimed trial, and returns them by axis key.

        Raises:
            ConfigError: the space is another than that of the study's earlier trials.
        """
        frozen = self._storage.get_trial(claim.id)
        self._sampler.at(self._index(claim.number), frozen.user_attrs.get("attempt", 0))
        # As `Study.ask` does: else the sampler would know the trials as they were at its first draw.
        self._study._thread_local.cached_all_trials = None
        chosen: dict[str, Value] = {}
        try:
            trial = optuna.trial.Trial(self._study, claim.id)
            for axis in space.axes:
                if space.applies(axis, chosen):
                    chosen[axis.key] = axis.drawn(trial._suggest(axis.name, axis.distribution()))
        except ValueError as error:
            raise ConfigError(
                f"sweep: the values of this study can't change ({str(error).rstrip('.')}). "
                "Give the changed sweep another sweep.name."
            ) from error
        return chosen

    def identify(self, claim: Claim, space: Space, chosen: dict[str, Value], config_hash: str) -> Trial | None:
        """Notes what a claimed trial is; returns an earlier one that is the same, if there is one."""
        self._set(claim.id, chosen=chosen, overrides=space.shown(chosen), config_hash=config_hash)
        twin = self._twin(self._storage.get_trial(claim.id), config_hash)
        return view(twin) if twin else None

    def note(self, claim: Claim, **attributes: Any) -> None:
        """Notes attributes of a claimed trial: `folder`, `run_id`, `epoch`, `seconds`."""
        self._set(claim.id, **attributes)

    def report(self, claim: Claim, step: int, value: float, epoch: int) -> None:
        """Keeps the first objective's value at a training step, unless it is known from before an interruption."""
        trial = self._storage.get_trial(claim.id)
        steps = trial.user_attrs.get("steps", [])
        if step in steps:
            return
        # The steps come last: killed before, the report is made again, in the same place.
        if len(self.objectives) == 1:
            with _unless_taken():
                # Optuna counts evaluations: a step of a small batch is less than one of a large batch.
                self._storage.set_trial_intermediate_value(claim.id, len(steps) + 1, value)
        else:  # Optuna has no reports for several objectives
            self._set(claim.id, reports=[*trial.user_attrs.get("reports", [])[: len(steps)], value])
        self._set(claim.id, steps=[*steps, step], epoch=epoch)

    def last_report(self, claim: Claim) -> list[float] | None:
        """Returns the value of a trial's last evaluation, as what a pruned trial came to."""
        reported = self._storage.get_trial(claim.id).intermediate_values
        return [reported[max(reported)]] if reported else None

    def should_prune(self, claim: Claim) -> bool:
        """Returns whether the pruner would end a claimed trial after its last report."""
        if len(self.objectives) > 1:
            return False
        with _unless_taken():
            return self._pruner.prune(self._study, self._storage.get_trial(claim.id))
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
        """Puts a claimed trial back, so that it goes on later."""
        # Without its owner, who may be dead: else it would look like an orphan until the next one has written its name.
        self._set(claim.id, owner={}, **attributes)
        with _unless_taken():
            self._storage.set_trial_state_values(claim.id, TrialState.WAITING)

    def drop(self, trial_id: int) -> None:
        """Takes a trial out of the study, because it is there twice or too many."""
        self._set(trial_id, dropped=True)
        with _unless_taken():
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)

    # Others

    def orphans(self) -> list[Claim]:
        """Returns the running trials whose process on this machine has ended."""
        running = self._all((TrialState.RUNNING,))
        return [claim_of(trial) for trial in running if owner.is_dead(trial.user_attrs.get("owner", {}))]

    def beat(self, claims: Iterable[Claim]) -> None:
        """Gives a sign of life for claimed trials."""
        for claim in claims:
            trial = self._storage.get_trial(claim.id)
            self._set(claim.id, beat=trial.user_attrs.get("beat", 0) + 1)

    def take_over(self, pulse: owner.Pulse, own: Iterable[Claim]) -> list[int]:
        """Lets the trials of machines that give no sign of life be tried again; returns their numbers."""
        ours = {claim.id for claim in own}
        running = {trial._trial_id: trial for trial in self._all((TrialState.RUNNING,)) if trial._trial_id not in ours}
        known = {number: trial.user_attrs for number, trial in running.items()}
        signs = {number: (attributes.get("owner"), attributes.get("beat")) for number, attributes in known.items()}
        taken = []
        for trial in (running[number] for number in pulse.gone(signs)):
            try:  # the storage lets only one machine do this
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            except UpdateFinishedTrialError:
                continue
            self._again(trial)
            taken.append(original(trial))
        return taken

    def _again(self, trial: FrozenTrial) -> None:
        attributes = {key: trial.user_attrs[key] for key in (*_KEPT, "reports", "attempt") if key in trial.user_attrs}
        self._study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={**attributes, "original": original(trial)},
                # A pruner's rungs, too: it goes on where it was.
                system_attrs={key: value for key, value in trial.system_attrs.items() if "rung" in key},
                intermediate_values=trial.intermediate_values,
            )
        )

    def _all(self, states: tuple[TrialState, ...] | None = None) -> list[FrozenTrial]:
        found = self._storage.get_all_trials(self._id, deepcopy=False, states=states)
        return [trial for trial in found if not trial.user_attrs.get("dropped")]

    def _index(self, number: int) -> int:
        """Returns how many trials come before this one; another attempt is no other trial."""
        return sum(other < number for other in {original(trial) for trial in self._all()})

    def _is_surplus(self, trial: FrozenTrial, total: int | None) -> bool:
        return total is not None and self._index(original(trial)) >= total

    def _twin(self, trial: FrozenTrial, config_hash: str | None) -> FrozenTrial | None:
        """Returns the trial of the same configuration that goes before this one: an earlier one, or a finished one."""
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
    """Leaves a block that changes a trial which another machine has taken over, as `finish` will say.

    It can happen to a machine that was asleep: its trial is ended in the storage while its process lives.
    """
    with contextlib.suppress(UpdateFinishedTrialError):
        yield


def has_study(storage: optuna.storages.BaseStorage, name: str) -> bool:
    """Returns whether a storage has a study of this name."""
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        return False
    return True


def _said(metrics: Sequence[str], directions: Sequence[str]) -> str:
    return " and ".join(f"{direction} {metric}" for metric, direction in zip(metrics, directions, strict=True))
