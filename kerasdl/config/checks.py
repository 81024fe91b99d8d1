"""Refuses a configuration that can't work, in milliseconds and before TensorFlow is imported.

Types and misspelt keys are Hydra's business (`schema`); here are ranges, choices, contradictions between keys, and
the names that `_target_` may take. What needs the data set or Keras to be known is checked where it is built.
"""

import dataclasses
import math
import os
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kerasdl.config.explain import config_error, did_you_mean
from kerasdl.config.instantiate import check_target
from kerasdl.config.source import sources, targets
from kerasdl.config.training_checks import check_adversarial, check_callbacks, check_checkpoints
from kerasdl.errors import ConfigError

_CHOICES: dict[str, tuple[str, ...]] = {
    "model.style": ("sequential", "functional"),
    "schedule.unit": ("steps", "epochs"),
    "task.loss": ("cross_entropy", "mean_squared_error"),
    "trainer.precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "trainer.device": ("auto", "cpu", "gpu"),
    "trainer.on_nan": ("stop", "rollback"),
    "trainer.adversarial.norm": ("linf", "l2"),
    "tracking.backend": ("mlflow", "none"),
}
# A number's range: (low, high, low allowed, high allowed); a list's range holds for each of its elements.
_AT_LEAST_0 = (0, None, True, True)
_AT_LEAST_1 = (1, None, True, True)
_POSITIVE = (0, None, False, True)
_SHARE = (0, 1, True, False)
_RANGES: dict[str, tuple[float, float | None, bool, bool]] = {
    "seed": _AT_LEAST_0,
    "model.filters": _AT_LEAST_1,
    "model.kernel_sizes": _AT_LEAST_1,
    "model.dense_units": _AT_LEAST_1,
    "model.dropout": _SHARE,
    "model.channel_dropout": _SHARE,
    "data.batch_size": _AT_LEAST_1,
    "data.evaluation_batch_size": _AT_LEAST_1,
    "data.shuffle_window": _AT_LEAST_1,
    "data.fraction": (0, 1, False, True),
    "data.batches": _AT_LEAST_1,
    "data.image_size": _AT_LEAST_1,
    "data.normalization.std": _POSITIVE,
    "data.augmentation.shift": _SHARE,
    "data.augmentation.crop": _AT_LEAST_0,
    "data.augmentation.rotation": (0, 180, True, True),
    "data.augmentation.zoom": _SHARE,
    "data.augmentation.cutout": _AT_LEAST_0,
    "optimizer.learning_rate": _POSITIVE,
    "optimizer.momentum": _SHARE,
    "optimizer.weight_decay": _AT_LEAST_0,
    "optimizer.clipnorm": _POSITIVE,
    "optimizer.global_clipnorm": _POSITIVE,
    "optimizer.clipvalue": _POSITIVE,
    "optimizer.ema_momentum": (0, 1, True, True),
    "optimizer.ema_overwrite_frequency": _AT_LEAST_1,
    "optimizer.gradient_accumulation_steps": (2, None, True, True),
    "optimizer.beta_1": _SHARE,
    "optimizer.beta_2": _SHARE,
    "optimizer.rho": _SHARE,
    "schedule.warmup": _AT_LEAST_0,
    "schedule.every": _POSITIVE,
    "schedule.length": _POSITIVE,
    "schedule.final": (0, 1, True, True),
    "schedule.factor": (0, 1, False, True),
    "task.label_smoothing": _SHARE,
    "trainer.epochs": _AT_LEAST_1,
    "trainer.threads": _AT_LEAST_1,
    "trainer.checkpoint.keep": _AT_LEAST_1,
    "trainer.rollback.factor": (0, 1, False, False),
    "trainer.rollback.limit": _AT_LEAST_1,
    "trainer.adversarial.epsilon": _AT_LEAST_0,
    "trainer.adversarial.steps": _AT_LEAST_1,
    "trainer.adversarial.step_size": _POSITIVE,
    "trainer.adversarial.warmup": _AT_LEAST_0,
    "tracking.interval": _AT_LEAST_1,
}


def check(config: DictConfig) -> None:
    """Raises ConfigError, naming the key, for the first thing in `config` that can't work."""
    try:
        _check_added(config)
        missing = OmegaConf.missing_keys(config)
        if missing:
            raise ConfigError(f"{min(missing)} has no value. Give one: {min(missing)}=...")
        tree: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise config_error(error) from error
    for key, choices in _CHOICES.items():
        value = _select(tree, key)
        if value is not None and value not in choices:
            raise ConfigError(f"{key} must be {' or '.join(choices)}. Received: {value}.{_near(value, choices)}")
    for key, limits in _RANGES.items():
        value = _select(tree, key)
        for number in value if isinstance(value, list) else [value]:
            if number is not None and not _inside(number, limits):
                raise ConfigError(f"{key} must be {_range(limits)}. Received: {number}.")
    _check_normalization(tree)
    _check_auto(tree)
    _check_validation(tree)
    _check_contradictions(tree)
    check_callbacks(tree)
    check_checkpoints(tree)
    check_adversarial(tree)
    for where, target in targets(tree):
        check_target(target, where)
    sources(tree)  # the user's own code is there and can be read


def _check_added(node: DictConfig, where: str = "") -> None:
    """Hydra lets `+key=value` add a key that nothing would read."""
    kind: Any = OmegaConf.get_type(node)
    if not dataclasses.is_dataclass(kind):
        return
    known = [item.name for item in dataclasses.fields(kind)]
    for key in node:
        name = f"{where}{key!s}"
        if key not in known:
            raise ConfigError(f"{name}: there is no such key.{did_you_mean(str(key), known)}")
        if not OmegaConf.is_missing(node, key) and isinstance(node[key], DictConfig):
            _check_added(node[key], f"{name}.")


def _check_normalization(tree: dict) -> None:
    for key in ("data.normalization.mean", "data.normalization.std"):
        values = _select(tree, key)
        if not (isinstance(values, list) and values and all(_number(v) and math.isfinite(v) for v in values)):
            raise ConfigError(
                f"{key} must be a list of numbers, one or one a channel. Received: {values}. Example: {key}=[0.5]"
            )


def _check_auto(tree: dict) -> None:
    for key in ("trainer.jit", "trainer.deterministic"):
        if _select(tree, key) not in ("auto", True, False):
            raise ConfigError(f"{key} must be auto, true or false. Received: {_select(tree, key)}.")
    steps = _select(tree, "trainer.steps_per_call")
    if steps != "auto" and not (isinstance(steps, int) and steps >= 1):
        raise ConfigError(f"trainer.steps_per_call must be auto or an integer >= 1. Received: {steps}.")
    profile = _select(tree, "trainer.profile")
    if profile is not None and not (len(profile) == 2 and 0 <= profile[0] < profile[1]):
        raise ConfigError(f"trainer.profile must be [first, last] with 0 <= first < last. Received: {profile}.")


def _check_validation(tree: dict) -> None:
    value = _select(tree, "data.validation")
    if isinstance(value, str):
        return  # a split's name: known once the data set's metadata is read
    # 1 could mean everything or a single example; neither can be meant.
    if not _number(value) or value < 0 or value == 1 or (isinstance(value, float) and value > 1):
        raise ConfigError(
            "data.validation must be a fraction in [0, 1), a count >= 0 or the name of a split. "
            f"Received: {value}. Example: data.validation=0.1"
        )


def _check_contradictions(tree: dict) -> None:
    model, optimizer, trainer, task = tree["model"], tree["optimizer"], tree["trainer"], tree["task"]
    if {"filters", "kernel_sizes"} <= set(model) and len(model["filters"]) != len(model["kernel_sizes"]):
        raise ConfigError(
            "model.kernel_sizes must be as long as model.filters. "
            f"Received: {model['kernel_sizes']} for {model['filters']}."
        )
    if model.get("filters") == []:
        raise ConfigError("model.filters must name at least one convolution. Received: [].")
    clips = [key for key in ("clipnorm", "global_clipnorm", "clipvalue") if optimizer.get(key) is not None]
    if len(clips) > 1:
        raise ConfigError(f"optimizer.{clips[0]} and optimizer.{clips[1]} exclude each other. Set one of them to null.")
    if trainer["deterministic"] is True and trainer["jit"] is True:
        raise ConfigError(
            "trainer.deterministic=true needs trainer.jit=auto or false: XLA has no deterministic max pooling gradient."
        )
    if trainer["check_numerics"] and trainer["jit"] is True:
        raise ConfigError("trainer.check_numerics needs trainer.jit=false: compiled code can't name an operation.")
    for metric in task.get("metrics", []):
        if not re.fullmatch(r"accuracy|precision|recall|f1|top_[1-9][0-9]*_accuracy", metric):
            known = ("accuracy", "top_5_accuracy", "precision", "recall", "f1")
            raise ConfigError(f"task.metrics: there is no metric {metric!r}.{did_you_mean(metric, known)}")
    weights = task.get("class_weights")
    if not (
        weights in (None, "balanced") or (isinstance(weights, list) and all(_number(w) and w >= 0 for w in weights))
    ):
        raise ConfigError(f"task.class_weights must be null, balanced or a list of numbers >= 0. Received: {weights}.")
    output = tree["paths"]["output_dir"]
    if not output:
        raise ConfigError("paths.output_dir must name a folder. Received nothing. Example: paths.output_dir=./mlruns")
    if os.path.exists(output) and not os.path.isdir(output):
        raise ConfigError(f"paths.output_dir must be a folder. Received: {output}, which is a file.")


def _select(tree: dict, key: str) -> Any:
    node: Any = tree
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _inside(number: Any, limits: tuple[float, float | None, bool, bool]) -> bool:
    low, high, low_allowed, high_allowed = limits
    if not _number(number) or not math.isfinite(number):
        return False
    above = number >= low if low_allowed else number > low
    below = high is None or (number <= high if high_allowed else number < high)
    return above and below


def _range(limits: tuple[float, float | None, bool, bool]) -> str:
    low, high, low_allowed, high_allowed = limits
    if high is None:
        return f"{'>=' if low_allowed else '>'} {low}"
    return f"in {'[' if low_allowed else '('}{low}, {high}{']' if high_allowed else ')'}"


def _near(value: Any, choices: tuple[str, ...]) -> str:
    hint = did_you_mean(str(value), choices)
    return hint if hint.startswith(" Did") else ""
