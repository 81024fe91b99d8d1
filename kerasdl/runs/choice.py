"""Which run an experiment resumes: what `resume=` means."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl.config.identity import config_hash, deciding, differences, source_digests
from kerasdl.config.renames import rename_targets
from kerasdl.config.training_checks import can_be_run_id
from kerasdl.errors import ResumeError
from kerasdl.runs.folder import FINISHED, Record, RunFolder, find, folder_named, folders

_MAY_CHANGE = "trainer.epochs"


def choose(config: DictConfig) -> RunFolder | None:
    """Returns the folder of the run that `config.resume` asks for, locked for this process; None begins a new run.

    Raises:
        ResumeError: there is no such run, another process uses it, it is finished, or it has another configuration.
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
                folder.unlock()  # another process has just finished it
        return None
    return _locked(find(config.paths.output_dir, config.resume), config)


def named(config: DictConfig, name: str) -> RunFolder | None:
    """Returns the run whose folder has this name, locked for this process; None if there is none yet.

    Raises:
        ResumeError: another process uses it, it is finished, or it has another configuration.
    """
    folder = folder_named(config.paths.output_dir, name)
    return _locked(folder, config) if folder else None


def with_saved_configuration(config: DictConfig, overrides: Sequence[str], groups: Sequence[str]) -> DictConfig:
    """Returns the configuration of the run that `resume=<run id>` names, changed by what else was typed.

    Nothing needs to be typed again. Overrides that choose from groups (`model=cnn`) state a whole configuration, which
    is returned as it is and must match that of the run.

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
    rename_targets(saved)
    saved.tracking.uri = folder.here(saved.tracking.uri)
    for key in [*typed, "paths", "resume"]:  # paths are those of this machine
        if key.partition(".")[0] in config:  # Hydra's own settings aren't in the configuration
            OmegaConf.update(saved, key, OmegaConf.select(config, key), merge=False, force_add=True)
    return saved


def changes(record: Record, config: DictConfig) -> dict[str, str]:
    """Returns the differences between a configuration and a run's that change the result: a phrase by key."""
    saved = OmegaConf.create(record.config)
    return {key: f"{key} was {before}, is {now}" for key, before, now in differences(deciding(saved), deciding(config))}


def changed_sources(record: Record, config: DictConfig) -> list[str]:
    """Returns the targets in the user's own code whose source has changed since a run began."""
    now = source_digests(config)
    return _targets(config, [key for key, digest in record.sources.items() if now.get(key) != digest])


def unknown_sources(record: Record, config: DictConfig) -> list[str]:
    """Returns the targets in the user's own code whose source an earlier version didn't record with the run."""
    return _targets(config, [key for key in source_digests(config) if key not in record.sources])


def check_sources(folder: RunFolder, config: DictConfig) -> None:
    """Raises ResumeError if the source of the user's own code has changed since a run began."""
    if changed := changed_sources(folder.record, config):
        raise ResumeError(
            f"the source of {_listed(changed)} has changed since run {folder.id} began, in that module or in one "
            "that it imports. Restore it, or start a new run with resume=never."
        )


def _targets(config: DictConfig, keys: Sequence[str]) -> list[str]:
    return [str(OmegaConf.select(config, f"{key}._target_")) for key in keys]


def _locked(folder: RunFolder, config: DictConfig) -> RunFolder:
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
    others = [phrase for key, phrase in changes(record, config).items() if key != _MAY_CHANGE]
    if saved.tracking.backend != config.tracking.backend:
        others.append(f"tracking was {saved.tracking.backend}, is {config.tracking.backend}")
    if others:
        raise ResumeError(
            f"run {folder.id} has another configuration: {_listed(others)}. Type only resume={config.resume} to "
            "resume it unchanged, or resume=never for a new run."
        )
    check_sources(folder, config)
    if config.trainer.epochs < saved.trainer.epochs:
        raise ResumeError(
            f"trainer.epochs must be at least the {saved.trainer.epochs} of run {folder.id}. "
            f"Received: {config.trainer.epochs}."
        )
    if record.status == FINISHED and config.trainer.epochs == saved.trainer.epochs:
        raise ResumeError(
            f"run {folder.id} is finished, after {saved.trainer.epochs} epochs. Extend it with a larger "
            f"trainer.epochs, e.g. trainer.epochs={2 * saved.trainer.epochs}."
        )


def _listed(items: list[Any]) -> str:
    return "; ".join(items[:5]) + (f"; and {len(items) - 5} more" if len(items) > 5 else "")
