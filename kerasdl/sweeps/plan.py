"""A grid's trials, composed before anything runs; and what a sweep would do, shown without doing it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from kerasdl import runs
from kerasdl.config.explain import InterpolationError
from kerasdl.config.identity import config_hash
from kerasdl.console import duration, say
from kerasdl.errors import ConfigError
from kerasdl.sweeps.frozen import Composer
from kerasdl.sweeps.samplers import pruner, sampler
from kerasdl.sweeps.space import Space, Value
from kerasdl.sweeps.storage import address, file_of, open_storage
from kerasdl.sweeps.study import Study, has_study
from kerasdl.sweeps.trials import DONE, Objective, State, Trial, figure, label

_MOST_LISTED = 5


@dataclass(frozen=True)
class Planned:
    """A configuration that is to be tried.

    Attributes:
        chosen: values by axis key.
        config_hash: its identity; one that can't work has one, too.
        config: resolved; None if it can't work.
        error: why it can't.
        is_unresolved: whether it can't because it refers to something that there isn't.
    """

    chosen: Mapping[str, Value]
    config_hash: str
    config: DictConfig | None
    error: str | None = None
    is_unresolved: bool = False


def compose(composer: Composer, space: Space, chosen: Mapping[str, Value]) -> Planned:
    """Returns the configuration of chosen values, or why there can't be one."""
    overrides = space.overrides(chosen)
    try:
        config = composer.compose(overrides)
    except ConfigError as error:
        # Not of how the sweep is run: with sweep.jobs=2 it is the same trial.
        deciding = sorted(item for item in overrides if not item.startswith(("sweep.", "sweep=")))
        digest = hashlib.sha256("\n".join(deciding).encode()).hexdigest()[:16]
        return Planned(chosen, f"refused-{digest}", None, str(error), isinstance(error, InterpolationError))
    return Planned(chosen, config_hash(config), config)


def grid(composer: Composer, space: Space) -> dict[str, Planned]:
    """Returns the grid's configurations by identity, in order; what comes to the same is there once.

    Raises:
        ConfigError: one refers to something that there isn't.
    """
    planned: dict[str, Planned] = {}
    for chosen in space.grid():
        one = compose(composer, space, chosen)
        if one.is_unresolved:
            raise ConfigError(one.error)
        planned.setdefault(one.config_hash, one)
    return planned


def check_unchanged(composer: Composer, space: Space, trials: Sequence[Trial], output_dir: str) -> None:
    """Refuses a search whose results so far are of other configurations than the command gives now.

    Its sampler would learn from them, and `sweep.trials` count them. A grid takes up trials by their identity instead.

    Raises:
        ConfigError: names the trials, and what has changed if that is known on this machine.
    """
    others: list[tuple[Trial, Planned]] = []
    for trial in trials:
        if trial.chosen is None or not (trial.state in DONE or trial.reports):
            continue
        one = compose(composer, space, trial.chosen)
        if one.config_hash != trial.config_hash:
            others.append((trial, one))
    if not others:
        return
    trial, one = others[0]
    numbers = ", ".join(str(other.number) for other, _ in others[:_MOST_LISTED])
    more = f" and {len(others) - _MOST_LISTED} more" if len(others) > _MOST_LISTED else ""
    subject = f"trial {numbers} has" if len(others) == 1 else f"trials {numbers}{more} have"
    raise ConfigError(
        f"sweep: {subject} results of another configuration than this command gives now"
        f"{_changed(trial, one, output_dir)}. Give the changed sweep another sweep.name, or put back what has changed."
    )


def _changed(trial: Trial, one: Planned, output_dir: str) -> str:
    """Returns in what a trial's run differs from what is planned, if the run is on this machine, to follow a clause."""
    if one.config is None:
        return f" ({one.error})"
    folder = runs.folder_named(output_dir, trial.folder) if trial.folder else None
    if folder is None:
        return ""
    phrases = [*runs.changes(folder.record, one.config).values()]
    phrases += [f"the source of {target}" for target in runs.changed_sources(folder.record, one.config)]
    return f" ({'; '.join(phrases[:_MOST_LISTED])})" if phrases else ""


def open_study(master: DictConfig, name: str, goals: Sequence[Objective]) -> Study:
    """Opens the study of a sweep, and makes it if there is none.

    Raises:
        ConfigError: the storage can't be opened, or the study looks for something else.
    """
    return _study(open_storage(address(master.sweep.storage, master.paths.output_dir)), master, name, goals)


def _study(storage: Any, master: DictConfig, name: str, goals: Sequence[Objective]) -> Study:
    settings = master.sweep
    return Study(
        storage, name, goals, sampler(settings.sampler, settings.seed), pruner(settings.pruner, settings.pruning)
    )


def _known_trials(master: DictConfig, name: str, goals: Sequence[Objective]) -> list[Trial]:
    """Returns the trials of a sweep's study; makes neither a storage nor a study."""
    where = address(master.sweep.storage, master.paths.output_dir)
    file = file_of(where)
    if file and not file.exists():
        return []
    storage = open_storage(where)
    return _study(storage, master, name, goals).trials() if has_study(storage, name) else []


def remaining_seconds(trials: Sequence[Trial], remaining: int, jobs: int) -> float | None:
    """Returns an estimate of what `remaining` trials will take; None while none is done."""
    done = [trial.seconds for trial in trials if trial.state in DONE and trial.seconds]
    return sum(done) / len(done) * remaining / min(jobs, max(remaining, 1)) if done else None


def show(master: DictConfig, name: str, goals: Sequence[Objective], space: Space, composer: Composer) -> int:
    """Prints the trials, which are done, and an estimate; runs and writes nothing."""
    settings = master.sweep
    trials = _known_trials(master, name, goals)
    known = {trial.config_hash: trial for trial in trials}
    if settings.sampler == "grid":
        planned = grid(composer, space)
        remaining = 0
        for one in planned.values():
            trial = known.get(one.config_hash)
            state = "REFUSED" if one.error else trial.state if trial else State.WAITING
            remaining += state not in (*DONE, "REFUSED")
            values = _values(trial, goals) or one.error or ""
            say(f"{state:<9} {label(space.shown(one.chosen))}  {values}".rstrip())
        total = len(planned)
    else:
        check_unchanged(composer, space, trials, master.paths.output_dir)
        total = max(settings.trials, len(trials))
        for trial in trials:
            say(f"{trial.state:<9} {label(trial.overrides)}  {_values(trial, goals)}".rstrip())
        done = sum(trial.state in DONE for trial in trials)
        remaining = total - done
    seconds = remaining_seconds(trials, remaining, settings.jobs)
    estimate = f", about {duration(seconds)} with sweep.jobs={settings.jobs}" if seconds and remaining else ""
    say(f"sweep {name}: {total} trials, {remaining} to run{estimate}")
    return 0


def _values(trial: Trial | None, goals: Sequence[Objective]) -> str:
    if trial is None or trial.values is None:
        return ""
    return "  ".join(f"{goal.metric} {figure(value)}" for goal, value in zip(goals, trial.values, strict=False))
