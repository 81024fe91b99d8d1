"""What the configuration's `sweep` group means: its checks, its objectives, and the name of a sweep that has none."""

import hashlib
import json
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl.config.explain import did_you_mean
from kerasdl.config.metrics import COSTS, is_maximized
from kerasdl.config.training_checks import check_metric
from kerasdl.errors import ConfigError
from kerasdl.sweeps.space import Space, names
from kerasdl.sweeps.trials import Objective
from kerasdl.tracking import secrets

# What a trial knows of itself beside its metrics.
_CHOICES = {
    "sampler": ("grid", "random", "tpe", "cmaes", "gp"),
    "pruner": ("none", "median", "percentile", "hyperband", "asha"),
}
_AT_LEAST = {
    "trials": 1,
    "seed": 0,
    "jobs": 1,
    "max_failures": 1,
    "pruning.startup_trials": 0,
    "pruning.warmup": 0,
    "pruning.min_resource": 1,
    "pruning.reduction_factor": 2,
}
# Overrides that change no result.
_ASIDE = (
    *("sweep.", "sweep=", "paths.", "tracking"),
    *("trainer.checkpoint", "trainer.steps_per_call", "data.data_dir", "data.manual_dir"),
)
_POSITIVE = ("trial_timeout", "heartbeat", "pruning.percentile")


def check_sweep(config: DictConfig) -> None:
    """Raises ConfigError, naming the key, for the first thing in the `sweep` group that can't work."""
    sweep = config.sweep
    if config.resume != "never":
        raise ConfigError("resume: a sweep resumes by itself. Type its command again, without resume=.")
    for key, choices in _CHOICES.items():
        if sweep[key] not in choices:
            hint = did_you_mean(sweep[key], choices)
            raise ConfigError(f"sweep.{key} must be {' or '.join(choices)}. Received: {sweep[key]}.{hint}")
    for key, low in _AT_LEAST.items():
        value = OmegaConf.select(sweep, key)
        if value is not None and value < low:
            raise ConfigError(f"sweep.{key} must be >= {low}. Received: {value}.")
    for key in _POSITIVE:
        value = OmegaConf.select(sweep, key)
        if value is not None and not value > 0:
            raise ConfigError(f"sweep.{key} must be > 0. Received: {value}.")
    if sweep.pruning.percentile >= 100:
        raise ConfigError(f"sweep.pruning.percentile must be < 100. Received: {sweep.pruning.percentile}.")
    resource = sweep.pruning.max_resource
    if resource != "auto" and not (isinstance(resource, int) and resource >= 1):
        raise ConfigError(f"sweep.pruning.max_resource must be auto or an integer >= 1. Received: {resource}.")
    if sweep.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", sweep.name):
        raise ConfigError(f"sweep.name must be of letters, digits, '.', '_' and '-'. Received: '{sweep.name}'.")
    if sweep.sampler != "grid" and sweep.trials is None:
        raise ConfigError(
            f"sweep.trials must say how many trials {sweep.sampler} shall choose. Example: sweep.trials=20"
        )
    if sweep.sampler == "grid" and sweep.trials is not None:
        raise ConfigError(
            f"sweep.trials must be null for a grid, which tries all its points. Received: {sweep.trials}. "
            "Let values be chosen instead, e.g. with sweep=random."
        )
    if sweep.pruner != "none":
        _check_prunable(objectives(config))


def objectives(config: DictConfig) -> tuple[Objective, ...]:
    """Returns what `sweep.metric` and `sweep.direction` ask for.

    Raises:
        ConfigError: there is no such metric, it is one of the test split, or the directions don't fit.
    """
    metrics, directions = _listed(config.sweep.metric), _listed(config.sweep.direction)
    if directions == ["auto"]:
        directions = ["auto"] * len(metrics)
    if not metrics or len(directions) != len(metrics):
        raise ConfigError(
            f"sweep.direction must have a direction for each of sweep.metric. Received: {len(directions)} for "
            f"{len(metrics)}."
        )
    for metric in metrics:
        if metric.startswith("test_"):
            raise ConfigError(
                f"sweep.metric must not be of the test split, which then tests nothing any more. Received: {metric}. "
                f"Take val_{metric[5:]}."
            )
        check_metric(config, metric, "sweep.metric", COSTS)
    return tuple(
        Objective(metric, is_maximized(metric, direction, "sweep.direction"))
        for metric, direction in zip(metrics, directions, strict=True)
    )


def name_of(config: DictConfig, space: Space, goals: tuple[Objective, ...]) -> str:
    """Returns `sweep.name`, or a name that the command decides: the swept keys, and a hash of what else was typed.

    The swept values, their order and what changes no result are no part of it, so that a widened sweep is the same.
    """
    if config.sweep.name:
        return config.sweep.name
    sampler = config.sweep.sampler
    decisive = {
        "fixed": sorted(override for override in space.fixed if not override.lstrip("+~").startswith(_ASIDE)),
        "axes": sorted({axis.key for axis in space.axes}),
        # A grid draws nothing: its seed only shuffles.
        "sampler": [sampler] if sampler == "grid" else [sampler, config.sweep.seed],
        "metrics": [goal.metric for goal in goals],
        "experiment": config.tracking.experiment,
    }
    digest = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:6]
    keys = names(space.axes)
    listed = keys[:4] if len(keys) <= 4 else [*keys[:3], f"{len(keys) - 3}-more"]
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join([*(listed or ["single"]), digest]))


def _check_prunable(goals: tuple[Objective, ...]) -> None:
    if len(goals) > 1:
        raise ConfigError("sweep.pruner needs a single sweep.metric: with several nobody knows which trial is behind.")
    if goals[0].metric in COSTS:
        raise ConfigError(
            f"sweep.pruner needs a sweep.metric of evaluations, e.g. val_accuracy. Received: {goals[0].metric}."
        )


def shown(config: DictConfig) -> DictConfig:
    """Returns the configuration as it may be kept: without Hydra's node, and without the storage's password."""
    kept = OmegaConf.create({key: value for key, value in config.items_ex(resolve=False) if key != "hydra"})
    if kept.sweep.storage:
        kept.sweep.storage = secrets.hide(kept.sweep.storage)
    return kept


def describe(config: DictConfig, space: Space) -> dict[str, Any]:
    """Returns the params of a sweep's own run: the settings, and what each swept key may be."""
    settings: Any = OmegaConf.to_container(shown(config).sweep)
    settings = {key: value for key, value in settings.items() if key not in ("space", "when", "dry_run")}
    swept = {re.sub(r"[^\w./ -]", "_", axis.name): axis.describe() for axis in space.axes}
    return {"sweep": settings, "swept": swept}


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if OmegaConf.is_list(value) or isinstance(value, list) else [str(value)]
