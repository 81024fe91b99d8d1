"""How a trial is kept in Optuna's storage: its state, its attributes, its parameters."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from kerasdl.sweeps.space import Space, Value
from kerasdl.sweeps.trials import State, Trial

STATES = {
    TrialState.WAITING: State.WAITING,
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.FINISHED,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
}
# What another attempt at a trial keeps.
_KEPT = ("chosen", "overrides", "config_hash", "steps", "epoch", "seconds", "folder", "run_id", "reports", "attempt")


@dataclass(frozen=True)
class Claim:
    """A trial that this process works on.

    Attributes:
        number: of the trial, as `Trial.number`.
        id: Optuna's, in the storage.
        optuna_number: Optuna's, in the study.
        chosen: values by axis key; None if they are still to be sampled.
        seconds: how long the trial has run before, over all its attempts.
    """

    number: int
    id: int
    optuna_number: int
    chosen: dict[str, Value] | None
    seconds: float


def first_attempt(trial: FrozenTrial) -> int:
    """Returns Optuna's number of the trial's first attempt, which is the trial's number for everyone else."""
    return trial.user_attrs.get("original", trial.number)


def claim_of(trial: FrozenTrial) -> Claim:
    """Returns the claim on a trial that this process has taken."""
    known = trial.user_attrs
    return Claim(
        first_attempt(trial), trial._trial_id, trial.number, known.get("chosen"), float(known.get("seconds", 0.0))
    )


def as_trial(trial: FrozenTrial) -> Trial:
    """Returns a trial without Optuna."""
    known = trial.user_attrs
    reports = [value for _, value in sorted(trial.intermediate_values.items())] or known.get("reports", [])
    fields = {field.name for field in dataclasses.fields(Trial)}
    return Trial(
        number=first_attempt(trial),
        state=STATES[trial.state],
        values=tuple(trial.values) if trial.values is not None else None,
        reports=dict(zip(known.get("steps", []), reports, strict=False)),
        host=known.get("owner", {}).get("host"),
        **{"overrides": {}, **{key: value for key, value in known.items() if key in fields - {"reports"}}},
    )


def waiting_trial(space: Space, chosen: Mapping[str, Value], attributes: Mapping[str, Any]) -> FrozenTrial:
    """Returns a trial with these values for a study to which it has yet to be added.

    Raises:
        ValueError: Optuna can't represent the values.
    """
    axes = space.axes_of(chosen)
    return optuna.trial.create_trial(
        state=TrialState.WAITING,
        params={axis.name: chosen[key] for key, axis in axes.items()},
        distributions={axis.name: _extensible(axis.distribution()) for axis in axes.values()},
        user_attrs=dict(attributes),
    )


def next_attempt(trial: FrozenTrial) -> FrozenTrial:
    """Returns another attempt at a trial that has ended, for a study to which it has yet to be added."""
    attributes = {key: trial.user_attrs[key] for key in _KEPT if key in trial.user_attrs}
    return optuna.trial.create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={**attributes, "original": first_attempt(trial)},
        # The rungs of a pruner, too: the trial resumes on the one where it was.
        system_attrs={key: value for key, value in trial.system_attrs.items() if "rung" in key},
        intermediate_values=trial.intermediate_values,
    )


def _extensible(distribution: Any) -> Any:
    """Returns a distribution that Optuna lets a wider grid extend: for numbers their range instead of the list."""
    choices = getattr(distribution, "choices", ())
    if not all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices) or not choices:
        return distribution
    if all(isinstance(choice, int) for choice in choices):
        return optuna.distributions.IntDistribution(min(choices), max(choices))
    return optuna.distributions.FloatDistribution(min(choices), max(choices))
