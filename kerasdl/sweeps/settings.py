"""The `sweep` group of the configuration: its checks, its objectives, and the name of a sweep that isn't given one."""

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
# Overrides that don't change a result.
_WITHOUT_EFFECT = (
    *("sweep.", "sweep=", "paths.", "tracking"),
    *("trainer.checkpoint", "trainer.steps_per_call", "data.data_dir", "data.manual_dir"),
)
_POSITIVE = ("trial_timeout", "heartbeat", "pruning.percentile")


def check_sweep(config: DictConfig) -> None:
    """Raises ConfigError, naming the key, for the first thing in the `sweep` group that can't work."""
    sweep = config.sweep
    if config.resume != "never":
        raise ConfigError("resume: a sweep resumes by itself. Run its command again, without resume=.")
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
        raise ConfigError(
            f"sweep.name must consist of letters, digits, '.', '_' and '-', at most 80. Received: '{sweep.name}'."
        )
    if sweep.sampler != "grid" and sweep.trials is None:
        raise ConfigError(
            f"sweep.trials must be the number of trials that {sweep.sampler} is to choose. Example: sweep.trials=20"
        )
    if sweep.sampler == "grid" and sweep.trials is not None:
        raise ConfigError(
            f"sweep.trials must be null for a grid, which tries all its points. Received: {sweep.trials}. "
            "To try fewer, let a sampler choose: sweep=random."
        )
    if sweep.pruner != "none":
        _check_prunable(objectives(config))


def objectives(config: DictConfig) -> tuple[Objective, ...]:
    """Returns what `sweep.metric` and `sweep.direction` say.

    Raises:
        ConfigError: a metric doesn't exist or is one of the test split, or the directions don't fit the metrics.
    """
    metrics, directions = _listed(config.sweep.metric), _listed(config.sweep.direction)
    if metrics == ["auto"]:
        metrics = ["val_accuracy" if "accuracy" in config.task.get("metrics", ()) else "val_loss"]
    if directions == ["auto"]:
        directions = ["auto"] * len(metrics)
    if not metrics or len(directions) != len(metrics):
        raise ConfigError(
            f"sweep.direction must have a direction for each metric of sweep.metric. Received: {len(directions)} for "
            f"{len(metrics)}."
        )
    for metric in metrics:
        if metric.startswith("test_"):
            raise ConfigError(
                f"sweep.metric must not be of the test split, which must not decide anything. Received: {metric}. "
                f"Use val_{metric[5:]}."
            )
        check_metric(config, metric, "sweep.metric", COSTS)
    return tuple(
        Objective(metric, is_maximized(metric, direction, "sweep.direction"))
        for metric, direction in zip(metrics, directions, strict=True)
    )


def sweep_name(config: DictConfig, space: Space, objectives: tuple[Objective, ...]) -> str:
    """Returns `sweep.name`, or a name made of the swept keys and a hash of what else was typed.

    It doesn't depend on the swept values, their order, or keys that don't change a result, so that a sweep to which
    values are added keeps its name.
    """
    if config.sweep.name:
        return config.sweep.name
    sampler = config.sweep.sampler
    decisive = {
        "fixed": sorted(override for override in space.fixed if not override.lstrip("+~").startswith(_WITHOUT_EFFECT)),
        "axes": sorted({axis.key for axis in space.axes}),
        # A grid draws nothing: its seed only shuffles.
        "sampler": [sampler] if sampler == "grid" else [sampler, config.sweep.seed],
        "metrics": [goal.metric for goal in objectives],
        "experiment": config.tracking.experiment,
    }
    digest = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:6]
    keys = names(space.axes)
    listed = keys[:4] if len(keys) <= 4 else [*keys[:3], f"{len(keys) - 3}-more"]
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join([*(listed or ["single"]), digest]))


def _check_prunable(objectives: tuple[Objective, ...]) -> None:
    if len(objectives) > 1:
        raise ConfigError(
            "sweep.pruner needs a single sweep.metric: with several, trials can't be ranked while they run."
        )
    if objectives[0].metric in COSTS:
        raise ConfigError(
            "sweep.pruner needs a sweep.metric that each evaluation gives, e.g. val_accuracy. "
            f"Received: {objectives[0].metric}."
        )


def without_secrets(config: DictConfig) -> DictConfig:
    """Returns the configuration as it may be kept: without Hydra's node and without the storage's password."""
    kept = OmegaConf.create({key: value for key, value in config.items_ex(resolve=False) if key != "hydra"})
    if kept.sweep.storage:
        kept.sweep.storage = secrets.hide(kept.sweep.storage)
    return kept


def params_of(config: DictConfig, space: Space) -> dict[str, Any]:
    """Returns the params of a sweep's own run: the settings, and the values of each swept key."""
    settings: Any = OmegaConf.to_container(without_secrets(config).sweep)
    settings = {key: value for key, value in settings.items() if key not in ("space", "when", "dry_run")}
    swept = {re.sub(r"[^\w./ -]", "_", axis.name): axis.describe() for axis in space.axes}
    return {"sweep": settings, "swept": swept}


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if OmegaConf.is_list(value) or isinstance(value, list) else [str(value)]
