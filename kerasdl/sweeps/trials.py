"""What a sweep knows about its trials, free of Optuna, MLflow and processes: the words that the other modules share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kerasdl.config.keys import short_names


class State(StrEnum):
    """Where a trial stands."""

    WAITING = "WAITING"  # not begun, or interrupted: then it goes on from its checkpoint
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    PRUNED = "PRUNED"  # ended early by the pruner
    FAILED = "FAILED"  # crashed, timed out, or refused; typed again it is tried again


# There is a result, and nothing left to do.
DONE = (State.FINISHED, State.PRUNED)


@dataclass(frozen=True)
class Trial:
    """One configuration of a sweep.

    Attributes:
        number: its number in the study, >= 0.
        state: where it stands.
        overrides: what distinguishes it from the others: each swept key that applies to it, with its value (a number,
            a bool, None, or the text of anything else), in the order typed.
        chosen: the same by axis key, as the command line takes it (`+key`); None until a sampler has chosen.
        config_hash: identity of what decides its result (`kerasdl.config.identity`).
        values: each objective's value, as `Objective`s are listed; None until it is finished, and if it failed. A
            pruned trial has the last one reported.
        reports: the first objective's value by training step, at each evaluation so far.
        metrics: of its run's end, by name; empty before.
        epoch: epochs that are done.
        run_id: its MLflow run's id, once known.
        folder: name of its run's folder, once known.
        seconds: how long it was at work, over all its attempts.
        error: one line about why it failed.
        host: the machine that works on it, or last did.
    """

    number: int
    state: State
    overrides: Mapping[str, Any]
    config_hash: str = ""
    chosen: Mapping[str, Any] | None = None
    values: tuple[float, ...] | None = None
    reports: Mapping[int, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    epoch: int = 0
    run_id: str | None = None
    folder: str | None = None
    seconds: float = 0.0
    error: str | None = None
    host: str | None = None


@dataclass(frozen=True)
class Objective:
    """What a sweep looks for: a metric such as `val_accuracy`, and whether more of it is better."""

    metric: str
    maximize: bool

    def better(self, value: float, other: float) -> bool:
        return value > other if self.maximize else value < other


def label(overrides: Mapping[str, Any]) -> str:
    """Returns overrides in a few words, e.g. `learning_rate=0.01 seed=2`: keys without their groups where unique."""
    names = zip(short_names([*overrides]), overrides.values(), strict=True)
    return " ".join(f"{name}={text(value)}" for name, value in names)


def text(value: Any) -> str:
    """Returns a value as Hydra's command line would take it; numbers with six significant digits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def figure(value: float) -> str:
    """Returns an objective's value as people read it: `0.9871`, `21,840`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"


def values_of(metrics: Mapping[str, float], objectives: Sequence[Objective]) -> list[float] | str:
    """Returns the objectives' values among a run's metrics, or a phrase about what is wrong with them."""
    values = []
    for objective in objectives:
        value = metrics.get(objective.metric)
        if value is None:
            return f"its run has no {objective.metric}, but {', '.join(sorted(metrics))}"
        if math.isnan(value):
            return f"its {objective.metric} is not a number"
        values.append(float(value))
    return values


def best(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Returns the best finished trials: one for a single objective, the Pareto front for several; [] if none is.

    Of equal ones the earliest comes first, and alone for a single objective. What has a NaN isn't the best.
    """
    finished = [trial for trial in trials if trial.state is State.FINISHED and _values(trial)]
    if len(objectives) == 1:
        choose = max if objectives[0].maximize else min
        return [choose(finished, key=lambda trial: _values(trial)[0])] if finished else []
    return [trial for trial in finished if not any(_dominates(other, trial, objectives) for other in finished)]


def _values(trial: Trial) -> tuple[float, ...]:
    values = trial.values or ()
    return () if any(math.isnan(value) for value in values) else values


def _dominates(one: Trial, other: Trial, objectives: Sequence[Objective]) -> bool:
    triples = list(zip(objectives, _values(one), _values(other), strict=True))
    return any(goal.better(a, b) for goal, a, b in triples) and not any(goal.better(b, a) for goal, a, b in triples)
