"""`-m`: from Hydra's command line to a sweep. What is swept, under which name, towards what; then it runs."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl.config.explain import InterpolationError, as_config_error
from kerasdl.errors import ConfigError
from kerasdl.sweeps.frozen import Composer
from kerasdl.sweeps.grammar import read_space
from kerasdl.sweeps.settings import check_sweep, name_of, objectives
from kerasdl.sweeps.space import Space


def sweep(hydra_context: Any, task_function: Any, master: DictConfig, arguments: Sequence[str]) -> int:
    """Runs the sweep that a command line describes.

    Args:
        hydra_context: Hydra's.
        task_function: what the command would run once without `-m`.
        master: composed by Hydra for the sweep as a whole.
        arguments: the command line's overrides.

    Returns:
        The exit code: 0 if all trials are finished, 1 if some failed, 128 and its number after a signal.

    Raises:
        UserError: something that the user can mend.
    """
    if task_function.__module__ != "kerasdl.train":
        raise ConfigError("-m sweeps trainings: python -m kerasdl.train -m ... For this command use it without -m.")
    launcher = OmegaConf.select(master, "hydra.launcher._target_", default="")
    if not launcher.endswith("BasicLauncher"):
        raise ConfigError(
            "hydra/launcher works with Hydra's own sweeper: add hydra/sweeper=basic. kerasdl's sweeper runs trials at "
            "once by itself: sweep.jobs=2."
        )
    check_sweep(master)
    goals = objectives(master)
    with as_config_error():
        space = read_space(
            arguments, master.sweep.space, master.sweep.when, hydra_context.config_loader, master.sweep.seed
        )
    _check_space(space, master.sweep.sampler)
    name = name_of(master, space, goals)
    composer = Composer(hydra_context.config_loader, master)
    _check_interpolations(space, composer)
    # Imported here: what follows needs Optuna, and what is above must be refused without it.
    from kerasdl.sweeps import campaign, plan

    if master.sweep.dry_run:
        return plan.show(master, name, goals, space, composer)
    return campaign.Campaign(master, name, goals, space, composer).run()


def _check_interpolations(space: Space, composer: Composer) -> None:
    """Raises InterpolationError if trials refer to something that there isn't: a slip of the command, not a result."""
    for chosen in space.samples():
        try:
            composer.compose(space.overrides(chosen))
        except InterpolationError:
            raise
        except ConfigError:
            continue  # a configuration that can't work is a trial that fails


def _check_space(space: Space, sampler: str) -> None:
    swept = {axis.name for axis in space.axes}
    if reserved := sorted(name for name in swept if name.partition(".")[0] in ("sweep", "paths", "tracking", "resume")):
        raise ConfigError(f"{reserved[0]} can't be swept: it belongs to the sweep as a whole.")
    if sampler != "grid" and "seed" in swept:
        raise ConfigError(
            "seed can't be searched: a lucky seed is no better configuration. Search with one, then repeat the best "
            "with several: seed=0,1,2."
        )
    if sampler != "grid" and not swept:
        raise ConfigError(
            f"sweep={sampler} has nothing to choose. Give a key a range, e.g. "
            "'optimizer.learning_rate=tag(log,interval(1e-4,1e-1))'"
        )
