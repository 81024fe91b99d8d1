"""Which run an experiment continues: what `resume=` means."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl.config.identity import config_hash, deciding, differences
from kerasdl.config.training_checks import can_be_run_id
from kerasdl.errors import ResumeError
from kerasdl.runs.folder import FINISHED, RunFolder, find, folder_named, folders

_MAY_CHANGE = "trainer.epochs"


def choose(config: DictConfig) -> RunFolder | None:
    """Returns the folder of the run that `config.resume` asks for, taken for this process; None begins a new run.

    Raises:
        ResumeError: there is no such run, another process works on it, it is finished, or its configuration is another.
    """
    if config.resume == "never":
        return None
    if config.resume == "auto":
        identity = config_hash(config)
        for folder in folders(config.paths.output_dir):
            same_tracking = folder.record.config["tracking"]["backend"] == config.tracking.backend
            if folder.record.config_hash == identity and folder.record.status != FINISHED and same_tracking:
                folder.lock()
                if folder.record.status != FINISHED:
                    return folder
                folder.unlock()  # another process has just ended it
        return None
    return _taken(find(config.paths.output_dir, config.resume), config)


def named(config: DictConfig, name: str) -> RunFolder | None:
    """Returns the run whose folder has this name, taken for this process; None if there is none yet.

    Raises:
        ResumeError: another process works on it, it is finished, or its configuration is another.
    """
    folder = folder_named(config.paths.output_dir, name)
    return _taken(folder, config) if folder else None


def with_saved_configuration(config: DictConfig, overrides: Sequence[str], groups: Sequence[str]) -> DictConfig:
    """Returns the configuration of the run that `resume=<run id>` names, changed by what else was typed.

    Nothing needs to be typed again; whoever does type choices from groups (`model=cnn`) states a whole configuration,
    which then stands as it is and has to be that of the run.

    Args:
        config: composed from `overrides`.
        overrides: as typed, e.g. `["resume=4f2a...", "trainer.epochs=20"]`.
        groups: the names of the configuration's groups.

    Raises:
        ResumeError: there is no such run.
    """
    typed = [override.partition("=")[0].lstrip("+") for override in overrides]
    if not can_be_run_id(config.resume) or any(key.partition("@")[0] in groups or key.startswith("~") for key in typed):
        return config
    folder = find(config.paths.output_dir, config.resume)
    saved = OmegaConf.create(folder.record.config)
    saved.tracking.uri = folder.here(saved.tracking.uri)
    for key in [*typed, "paths", "resume"]:  # where things are is this machine's
        if key.partition(".")[0] in config:  # Hydra's own settings aren't
            OmegaConf.update(saved, key, OmegaConf.select(config, key), merge=False, force_add=True)
    return saved


def _taken(folder: RunFolder, config: DictConfig) -> RunFolder:
    folder.lock()
    try:
        _check_same(folder, config)
    except ResumeError:
        folder.unlock()
        raise
    return folder


def _check_same(folder: RunFolder, config: DictConfig) -> None:
    record = folder.record
    saved = OmegaConf.create(record.config)
    changed = list(differences(deciding(saved), deciding(config)))
    others = [f"{key} was {before}, is {now}" for key, before, now in changed if key != _MAY_CHANGE]
    if saved.tracking.backend != config.tracking.backend:
        others.append(f"tracking was {saved.tracking.backend}, is {config.tracking.backend}")
    if others:
        raise ResumeError(
            f"run {folder.id} has another configuration: {_listed(others)}. Type only resume={config.resume} to "
            "continue it as it was, or resume=never for a new run."
        )
    if config.trainer.epochs < saved.trainer.epochs:
        raise ResumeError(
            f"trainer.epochs must be at least the {saved.trainer.epochs} of run {folder.id}. "
            f"Received: {config.trainer.epochs}."
        )
    if record.status == FINISHED and config.trainer.epochs == saved.trainer.epochs:
        raise ResumeError(
            f"run {folder.id} is finished, after {saved.trainer.epochs} epochs. Prolong it with a larger "
            f"trainer.epochs, e.g. trainer.epochs={2 * saved.trainer.epochs}."
        )


def _listed(items: list[Any]) -> str:
    return "; ".join(items[:5]) + (f"; and {len(items) - 5} more" if len(items) > 5 else "")
