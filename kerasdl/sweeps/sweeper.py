"""`-m`: reads from Hydra's command line what is swept, under which name and for which objectives; then runs it."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl.config.explain import InterpolationError, as_config_error
from kerasdl.errors import ConfigError
from kerasdl.sweeps.composer import Composer
from kerasdl.sweeps.grammar import read_space
from kerasdl.sweeps.settings import check_sweep, objectives, sweep_name
from kerasdl.sweeps.space import Space


def sweep(hydra_context: Any, task_function: Any, master: DictConfig, arguments: Sequence[str]) -> int:
    """Runs the sweep that a command line describes.

    Args:
        hydra_context: Hydra's.
        task_function: what the command would run once without `-m`.
        master: composed by Hydra for the sweep as a whole.
        arguments: the command line's overrides.

    Returns:
        The exit code: 0 if every trial has a result, 1 if one hasn't, 128 and its number after a signal.

    Raises:
        UserError: a mistake that the user can correct.
    """
    if task_function.__module__ != "kerasdl.train":
        raise ConfigError("-m sweeps trainings: python -m kerasdl.train -m ... Run this command without -m.")
    launcher = OmegaConf.select(master, "hydra.launcher._target_", default="")
    if not launcher.endswith("BasicLauncher"):
        raise ConfigError(
            "hydra/launcher works with Hydra's own sweeper only: add hydra/sweeper=basic. kerasdl's sweeper runs "
            "several trials at once by itself: sweep.jobs=2."
        )
    check_sweep(master)
    goals = objectives(master)
    with as_config_error():
        space = read_space(
            arguments, master.sweep.space, master.sweep.when, hydra_context.config_loader, master.sweep.seed
        )
    _check_space(space, master.sweep.sampler)
    name = sweep_name(master, space, goals)
    composer = Composer(hydra_context.config_loader, master)
    _check_interpolations(space, composer)
    # Imported here: what follows needs Optuna, and what is refused above must not wait for it.
    if master.sweep.dry_run:
        from kerasdl.sweeps import dry_run

        return dry_run.show(master, name, goals, space, composer)
    from kerasdl.sweeps.executors.local import LocalExecutor
    from kerasdl.sweeps.runner import SweepRunner

    return SweepRunner(master, name, goals, space, composer, LocalExecutor(master.sweep.jobs)).run()


def _check_interpolations(space: Space, composer: Composer) -> None:
    """Raises InterpolationError if trials refer to a key that doesn't exist: a mistake in the command, not a result."""
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
        raise ConfigError(f"{reserved[0]} can't be swept: it is the same for the whole sweep. Give it one value.")
    if sampler != "grid" and "seed" in swept:
        raise ConfigError(
            "seed can't be searched: a lucky seed is not a better configuration. Search with one seed, then repeat "
            "the best configuration with several: seed=0,1,2."
        )
    if sampler != "grid" and not swept:
        raise ConfigError(
            f"sweep={sampler} has nothing to choose. Give a key a range: "
            "'optimizer.learning_rate=tag(log,interval(1e-4,1e-1))'"
        )
