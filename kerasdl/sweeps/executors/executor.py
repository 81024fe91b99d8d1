"""What a sweep needs from the place where its trials run: start one, report events, stop one, close.

An executor knows neither Optuna nor MLflow, nor which trial is next: it starts trials, and reports their events.
`local.py` runs trials as processes of this machine; another place (a cluster) is another file with the same interface.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class TrialJob:
    """What a trial needs to run anywhere.

    Attributes:
        number: of the trial.
        name: of the run's folder.
        config: the configuration, a typed DictConfig.
        config_hash: its identity when the trial was planned.
        log: the file that gets what the trial prints.
    """

    number: int
    name: str
    config: Any
    config_hash: str
    log: Path


@dataclass(frozen=True)
class Evaluation:
    """A running trial has been evaluated, and waits for `reply`.

    Attributes:
        number: of the trial.
        epoch: epochs that are done.
        step: training steps that are done.
        metrics: of the evaluation, by name.
        reply: to be called once, with whether the trial is pruned. Does nothing if the trial has died meanwhile.
    """

    number: int
    epoch: int
    step: int
    metrics: Mapping[str, float]
    reply: Callable[[bool], None]


@dataclass(frozen=True)
class Ended:
    """A trial has ended: its last event.

    Attributes:
        number: of the trial.
        status: `FINISHED`, `PRUNED`, `KILLED` (it was stopped and can be resumed) or `FAILED`.
        metrics: of the run's end, by name.
        seconds: how long this attempt took.
        run_id: MLflow's.
        error: one line: why it failed, or what couldn't be kept if it finished.
        trace: the traceback, if the trial itself reported that it failed; None if it died before it could.
    """

    number: int
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    run_id: str | None = None
    error: str | None = None
    trace: str | None = None


Event = Evaluation | Ended


class Executor(Protocol):
    """Runs up to `slots` trials at once.

    Attributes:
        slots: trials at once, >= 1. The sweep starts a trial only when fewer are running.
    """

    slots: int

    def describe(self) -> str:
        """Returns in a few words what each trial gets, e.g. "2 threads"."""
        ...

    def warm_up(self) -> None:
        """Begins to load what trials need; called once, before the first trial, if there is a trial to run."""
        ...

    def start(self, job: TrialJob) -> None:
        """Starts a trial."""
        ...

    def events(self, timeout: float) -> Iterator[Event]:
        """Yields what has happened, in order for each trial, waiting up to `timeout` seconds for the first event.

        It waits as long when no trial is running. After a trial's `Ended` its slot is free.
        """
        ...

    def stop(self, number: int) -> None:
        """Asks a running trial to save its state and end, and returns at once; asking again changes nothing.

        The trial then ends as `KILLED`, or as whatever it has come to in the meantime. One that doesn't end by itself
        is ended by force.
        """
        ...

    def close(self) -> None:
        """Ends all trials at once, without saving, and frees everything. No event follows."""
        ...
