"""The runs of a sweep's trials, seen from the sweep: how they are tagged, and how they ended if nobody reported it."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl import tracking
from kerasdl.console import warn
from kerasdl.errors import ResumeError, TrackingError
from kerasdl.runs import folder_named
from kerasdl.sweeps.executors.executor import Ended
from kerasdl.sweeps.trials import label


def run_config(
    config: DictConfig, sweep: str, number: int, overrides: Mapping[str, Any], parent_run: str | None
) -> DictConfig:
    """Returns a trial's configuration with its place in MLflow added: its name, its sweep, its parent run.

    Args:
        config: the trial's configuration; stays as it is.
        sweep: name of the sweep.
        number: of the trial.
        overrides: what distinguishes the trial.
        parent_run: MLflow's id of the sweep's own run, if there is one.
    """
    config = OmegaConf.create(config)
    prefix = f"{config.tracking.run_name} " if config.tracking.run_name else ""
    config.tracking.run_name = f"{prefix}{label(overrides) or sweep}"
    tags = {"kerasdl.sweep": sweep, "kerasdl.trial": str(number)}
    if parent_run:
        tags["mlflow.parentRunId"] = parent_run
    OmegaConf.update(config, "tracking.tags", tags, merge=True, force_add=True)
    return config


def recorded_end(output_dir: str, name: str, number: int, patience: float | None = None) -> Ended | None:
    """Returns how a trial's run ended, if its folder says so and only the sweep doesn't know; else None.

    Args:
        output_dir: `paths.output_dir`.
        name: of the run's folder.
        number: of the trial.
        patience: seconds to wait for another process that works on the run: the trial of a sweep that was killed a
            moment ago may still be saving its state. None: there is certainly no such process.

    Raises:
        ResumeError: another process works on the run for longer than that.
    """
    folder = folder_named(output_dir, name)
    if folder is None:
        return None
    if patience is not None:
        folder.lock(patience)
        folder.unlock()
    record = folder.record
    if record.status not in ("FINISHED", "PRUNED"):
        return None
    return Ended(number, record.status, record.metrics, 0.0, record.run_id)


def end_run(config: DictConfig, name: str, status: str, trace: str) -> None:
    """Ends the MLflow run of a trial whose process could no longer do it; warns if that is impossible now.

    Args:
        config: has `paths` and `tracking`.
        name: of the run's folder.
        status: of the run.
        trace: what is kept as its traceback.
    """
    folder = folder_named(config.paths.output_dir, name)
    if folder is None or config.tracking.backend == "none":
        return
    from kerasdl.tracking.backlog import end_dead_run

    try:
        end_dead_run(folder, tracking.locate(config), status, trace)
    except (TrackingError, ResumeError) as error:
        warn(str(error))
