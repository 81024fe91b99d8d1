"""What a sweep knows about its trials, without Optuna, MLflow or processes: the terms that the other modules share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from kerasdl.config.keys import short_names


class State(StrEnum):
    """The state of a trial."""

    WAITING = "WAITING"  # not started, or interrupted: then it resumes from its checkpoint
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    PRUNED = "PRUNED"  # ended early by the pruner
    FAILED = "FAILED"  # crashed, took too long, or can't work; the next run of the command tries it again


# The trial has a result, and nothing is left to do.
DONE = (State.FINISHED, State.PRUNED)
# The trial is over, with a result or without.
ENDED = (*DONE, State.FAILED)


@dataclass(frozen=True)
class Trial:
    """One configuration of a sweep.

    Attributes:
        number: its number in the study, >= 0.
        state: see `State`.
        overrides: what distinguishes it from the others: each swept key that applies to it, with its value (a number,
            a bool, None, or the text of anything else), in the order typed.
        chosen: the same by axis key, as the command line takes it (`+key`); None until a sampler has chosen.
        config_hash: identity of what decides its result (`kerasdl.config.identity`).
        values: the value of each objective, in the objectives' order; None until it is finished, and if it failed. Of
            a pruned trial, the last one reported.
        reports: the first objective's value by training step, at each evaluation so far.
        metrics: of its run's end, by name; empty before.
        epoch: epochs that are done.
        run_id: its MLflow run's id, once known.
        folder: name of its run's folder, once known.
        seconds: how long it has run, over all its attempts.
        error: one line: why it failed.
        host: the machine that works on it, or did last.
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
    """What a sweep optimises: a metric such as `val_accuracy`, and whether a higher value is better."""

    metric: str
    maximize: bool

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """`maximize` or `minimize`."""
        return "maximize" if self.maximize else "minimize"

    def better(self, value: float, other: float) -> bool:
        return value > other if self.maximize else value < other


def swept_keys(trials: Sequence[Trial]) -> list[str]:
    """Returns each key that any of the trials overrides, in order of first appearance."""
    return list(dict.fromkeys(key for trial in trials for key in trial.overrides))


def label(overrides: Mapping[str, Any]) -> str:
    """Returns overrides briefly, e.g. `learning_rate=0.01 seed=2`: keys without their groups where these are unique."""
    names = zip(short_names([*overrides]), overrides.values(), strict=True)
    return " ".join(f"{name}={text(value)}" for name, value in names)


def text(value: Any) -> str:
    """Returns a value as Hydra's command line would take it; numbers with six significant digits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def number_text(value: float) -> str:
    """Returns an objective's value for people to read: `0.9871`, `21,840`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"
