"""The configurations that a command asks for: a grid's are composed before anything runs, a search's are checked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from kerasdl import runs
from kerasdl.config.explain import InterpolationError
from kerasdl.config.identity import config_hash
from kerasdl.errors import ConfigError
from kerasdl.sweeps.composer import Composer
from kerasdl.sweeps.space import Space, Value
from kerasdl.sweeps.trials import DONE, Trial

_MOST_LISTED = 5


@dataclass(frozen=True)
class PlannedTrial:
    """A configuration that is to be tried.

    Attributes:
        chosen: values by axis key.
        config_hash: its identity; a configuration that can't work has one, too.
        config: resolved; None if it can't work.
        error: why it can't work.
        is_unresolved: whether that is because it refers to a key that doesn't exist.
    """

    chosen: Mapping[str, Value]
    config_hash: str
    config: DictConfig | None
    error: str | None = None
    is_unresolved: bool = False


def plan_trial(composer: Composer, space: Space, chosen: Mapping[str, Value]) -> PlannedTrial:
    """Returns the configuration of chosen values, or why it can't work."""
    overrides = space.overrides(chosen)
    try:
        config = composer.compose(overrides)
    except ConfigError as error:
        # Without the settings of the sweep: with sweep.jobs=2 it is the same trial.
        deciding = sorted(item for item in overrides if not item.startswith(("sweep.", "sweep=")))
        digest = hashlib.sha256("\n".join(deciding).encode()).hexdigest()[:16]
        return PlannedTrial(chosen, f"refused-{digest}", None, str(error), isinstance(error, InterpolationError))
    return PlannedTrial(chosen, config_hash(config), config)


def plan_grid(composer: Composer, space: Space) -> dict[str, PlannedTrial]:
    """Returns the grid's configurations by identity, in order; points with the same configuration are one.

    Raises:
        ConfigError: one refers to a key that doesn't exist.
    """
    planned: dict[str, PlannedTrial] = {}
    for chosen in space.grid():
        one = plan_trial(composer, space, chosen)
        if one.is_unresolved:
            raise ConfigError(one.error)
        planned.setdefault(one.config_hash, one)
    return planned


def check_unchanged(composer: Composer, space: Space, trials: Sequence[Trial], output_dir: str) -> None:
    """Refuses a search whose results so far come from other configurations than the command gives now.

    Its sampler would learn from them, and `sweep.trials` would count them. A grid finds its trials by their identity
    instead.

    Raises:
        ConfigError: names the trials, and what has changed if that is known on this machine.
    """
    others: list[tuple[Trial, PlannedTrial]] = []
    for trial in trials:
        if trial.chosen is None or not (trial.state in DONE or trial.reports):
            continue
        one = plan_trial(composer, space, trial.chosen)
        if one.config_hash != trial.config_hash:
            others.append((trial, one))
    if not others:
        return
    trial, one = others[0]
    numbers = ", ".join(str(other.number) for other, _ in others[:_MOST_LISTED])
    more = f" and {len(others) - _MOST_LISTED} more" if len(others) > _MOST_LISTED else ""
    subject = f"the results of trial {numbers} come" if len(others) == 1 else f"results of trials {numbers}{more} come"
    raise ConfigError(
        f"sweep: {subject} from another configuration than this command gives now{_changes(trial, one, output_dir)}. "
        "Give the changed sweep another sweep.name, or undo the change."
    )


def _changes(trial: Trial, one: PlannedTrial, output_dir: str) -> str:
    """Returns in what a trial's run differs from the plan, in brackets, if the run is on this machine; else ""."""
    if one.config is None:
        return f" ({one.error})"
    folder = runs.folder_named(output_dir, trial.folder) if trial.folder else None
    if folder is None:
        return ""
    phrases = [*runs.changes(folder.record, one.config).values()]
    phrases += [f"the source of {target}" for target in runs.changed_sources(folder.record, one.config)]
    return f" ({'; '.join(phrases[:_MOST_LISTED])})" if phrases else ""
