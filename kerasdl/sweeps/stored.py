"""How a trial is kept in Optuna's storage: its state, its attributes, its params."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from kerasdl.sweeps.space import Value
from kerasdl.sweeps.trials import State, Trial

STATES = {
    TrialState.WAITING: State.WAITING,
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.FINISHED,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
}


@dataclass(frozen=True)
class Claim:
    """A trial that this process works on.

    Attributes:
        number: of the trial, as `Trial.number`.
        id: Optuna's, in the storage.
        optuna_number: Optuna's, in the study.
        chosen: values by axis key; None if they are still to be sampled.
    """

    number: int
    id: int
    optuna_number: int
    chosen: dict[str, Value] | None


def original(trial: FrozenTrial) -> int:
    """Returns the number of the trial's first attempt."""
    return trial.user_attrs.get("original", trial.number)


def claim_of(trial: FrozenTrial) -> Claim:
    """Returns the claim on a trial that is this process's."""
    return Claim(original(trial), trial._trial_id, trial.number, trial.user_attrs.get("chosen"))


def view(trial: FrozenTrial) -> Trial:
    """Returns what others need to know of a trial."""
    known = trial.user_attrs
    reports = [value for _, value in sorted(trial.intermediate_values.items())] or known.get("reports", [])
    fields = {field.name for field in dataclasses.fields(Trial)}
    return Trial(
        number=original(trial),
        state=STATES[trial.state],
        values=tuple(trial.values) if trial.values is not None else None,
        reports=dict(zip(known.get("steps", []), reports, strict=False)),
        host=known.get("owner", {}).get("host"),
        **{"overrides": {}, **{key: value for key, value in known.items() if key in fields - {"reports"}}},
    )


def storable(distribution: Any) -> Any:
    """Returns a distribution for Optuna that a widened grid can widen, too: of numbers the range, not the list."""
    choices = getattr(distribution, "choices", ())
    if not all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices) or not choices:
        return distribution
    if all(isinstance(choice, int) for choice in choices):
        return optuna.distributions.IntDistribution(min(choices), max(choices))
    return optuna.distributions.FloatDistribution(min(choices), max(choices))
