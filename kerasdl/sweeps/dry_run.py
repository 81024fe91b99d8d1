"""`sweep.dry_run=true`: what a sweep would do, and how long it may take. Runs and writes nothing."""

from collections.abc import Sequence

from omegaconf import DictConfig

from kerasdl.console import duration, say
from kerasdl.sweeps.composer import Composer
from kerasdl.sweeps.open_study import existing_trials
from kerasdl.sweeps.plan import check_unchanged, plan_grid
from kerasdl.sweeps.results import values_text
from kerasdl.sweeps.space import Space
from kerasdl.sweeps.trials import DONE, Objective, State, Trial, label


def show(config: DictConfig, name: str, objectives: Sequence[Objective], space: Space, composer: Composer) -> int:
    """Prints the trials, their states, and an estimate of the time; returns the exit code.

    Args:
        config: of the sweep.
        name: of the sweep.
        objectives: of the sweep.
        space: what it searches.
        composer: composes configurations of trials.
    """
    settings = config.sweep
    trials = existing_trials(config, name, objectives)
    if settings.sampler == "grid":
        known = {trial.config_hash: trial for trial in trials}
        planned = plan_grid(composer, space)
        remaining = 0
        for one in planned.values():
            trial = known.get(one.config_hash)
            state = "REFUSED" if one.error else trial.state if trial else State.WAITING
            remaining += state not in (*DONE, "REFUSED")
            values = (values_text(trial, objectives, "  ") if trial else "") or one.error or ""
            say(f"{state:<9} {label(space.by_name(one.chosen))}  {values}".rstrip())
        total = len(planned)
    else:
        check_unchanged(composer, space, trials, config.paths.output_dir)
        total = max(settings.trials, len(trials))
        for trial in trials:
            say(f"{trial.state:<9} {label(trial.overrides)}  {values_text(trial, objectives, '  ')}".rstrip())
        remaining = total - sum(trial.state in DONE for trial in trials)
    seconds = remaining_seconds(trials, remaining, settings.jobs)
    estimate = f", about {duration(seconds)} with sweep.jobs={settings.jobs}" if seconds and remaining else ""
    say(f"sweep {name}: {total} trials, {remaining} to run{estimate}")
    return 0


def remaining_seconds(trials: Sequence[Trial], remaining: int, jobs: int) -> float | None:
    """Returns an estimate of how long `remaining` trials will take; None while no trial has a result."""
    done = [trial.seconds for trial in trials if trial.state in DONE and trial.seconds]
    return sum(done) / len(done) * remaining / min(jobs, max(remaining, 1)) if done else None
