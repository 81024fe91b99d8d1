"""Opens the study of a sweep with the sampler and the pruner of its configuration, or creates it."""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from omegaconf import DictConfig
from optuna.exceptions import DuplicatedStudyError

from kerasdl.errors import ConfigError
from kerasdl.sweeps import liveness
from kerasdl.sweeps.samplers import ReseededSampler, pruner, sampler
from kerasdl.sweeps.storage import address, file_of, open_storage
from kerasdl.sweeps.study import CREATOR, Study
from kerasdl.sweeps.trials import Objective, Trial


def open_study(config: DictConfig, name: str, objectives: Sequence[Objective]) -> Study:
    """Opens a sweep's study, and creates it if there is none.

    Args:
        config: of the sweep; has `sweep` and `paths`.
        name: of the sweep.
        objectives: of the sweep.

    Raises:
        ConfigError: the storage can't be opened, or the study exists and has other objectives.
    """
    storage = open_storage(address(config.sweep.storage, config.paths.output_dir))
    return _study_of(config, storage, name, objectives)


def existing_trials(config: DictConfig, name: str, objectives: Sequence[Objective]) -> list[Trial]:
    """Returns the trials of a sweep's study, [] if there is none; creates neither a storage nor a study.

    Args:
        config: of the sweep; has `sweep` and `paths`.
        name: of the sweep.
        objectives: of the sweep.

    Raises:
        ConfigError: as `open_study`.
    """
    where = address(config.sweep.storage, config.paths.output_dir)
    file = file_of(where)
    if file and not file.exists():
        return []
    storage = open_storage(where)
    return _study_of(config, storage, name, objectives).trials() if has_study(storage, name) else []


def has_study(storage: optuna.storages.BaseStorage, name: str) -> bool:
    """Returns whether a storage has a study of this name."""
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        return False
    return True


def create_or_load(
    storage: optuna.storages.BaseStorage,
    name: str,
    objectives: Sequence[Objective],
    chooses: ReseededSampler,
    prunes: optuna.pruners.BasePruner,
) -> Study:
    """Returns the study of this name, created if there is none.

    Raises:
        ConfigError: the study exists and has other objectives.
    """
    metrics = [objective.metric for objective in objectives]
    directions = [objective.direction for objective in objectives]
    try:
        study = optuna.create_study(
            study_name=name, storage=storage, directions=directions, sampler=chooses, pruner=prunes
        )
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage, sampler=chooses, pruner=prunes)
        known = study.metric_names or metrics, [direction.name.lower() for direction in study.directions]
        if known != (metrics, directions):
            raise ConfigError(
                f"sweep.metric: sweep {name} already exists, to {_phrase(*known)}; this command is to "
                f"{_phrase(metrics, directions)}. Give this sweep another sweep.name."
            ) from None
        return Study(study, chooses, is_new=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(metrics)
    study.set_user_attr(CREATOR, liveness.this_process())
    return Study(study, chooses, is_new=True)


def _study_of(config: DictConfig, storage: Any, name: str, objectives: Sequence[Objective]) -> Study:
    settings = config.sweep
    chooses, prunes = sampler(settings.sampler, settings.seed), pruner(settings.pruner, settings.pruning)
    return create_or_load(storage, name, objectives, chooses, prunes)


def _phrase(metrics: Sequence[str], directions: Sequence[str]) -> str:
    return " and ".join(f"{direction} {metric}" for metric, direction in zip(metrics, directions, strict=True))
