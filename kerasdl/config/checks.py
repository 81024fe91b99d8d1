"""Refuses a configuration that can't work, in milliseconds and before TensorFlow is imported.

Hydra refuses wrong types and misspelt keys (`schema`). Here are the values that the types of `schema` allow, keys
that contradict each other, and the names that `_target_` may have. What needs the data set or Keras is checked where it
is built.
"""

import dataclasses
import math
import os
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kerasdl.config.explain import config_error, did_you_mean
from kerasdl.config.instantiate import check_target
from kerasdl.config.keys import ALLOWED, is_number, may_be_null, node_type, shown
from kerasdl.config.renames import with_public_names
from kerasdl.config.schema import Classification, Config, type_of
from kerasdl.config.source import sources, targets
from kerasdl.config.training_checks import check_adversarial, check_callbacks, check_checkpoints
from kerasdl.errors import ConfigError


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
    tree = with_public_names(tree)
    groups = {key: node for key, node in tree.items() if isinstance(node, dict)}
    check_values({key: value for key, value in tree.items() if key not in groups}, Config)
    for group, node in groups.items():
        if kind := _type(config, group, node):
            check_values(node, kind, f"{group}.")
    _check_normalization(tree)
    _check_validation(tree)
    _check_profile(tree["trainer"]["profile"])
    _check_contradictions(tree)
    check_callbacks(tree)
    check_checkpoints(tree)
    check_adversarial(tree)
    for where, target in targets(tree):
        check_target(target, where)
    sources(tree)  # raises if the user's own code is missing or can't be read


def _check_added(node: DictConfig, where: str = "") -> None:
    """Raises ConfigError for a key that `+key=value` has added to a typed node: nothing would read it."""
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


def _type(config: DictConfig, group: str, node: dict) -> type | None:
    """Returns the dataclass that types a node: the one that Hydra gave it, or, in a saved run, that of its target."""
    kind = OmegaConf.get_type(config, group)
    return kind if dataclasses.is_dataclass(kind) else type_of(group, node)


def check_values(node: Mapping[str, Any], kind: type, where: str = "") -> None:
    """Raises ConfigError for a value that its key doesn't allow, in this node or below.

    Args:
        node: plain containers.
        kind: the dataclass that types it.
        where: its key with a dot, e.g. `sweep.`; "" for the top of the tree.
    """
    for field in dataclasses.fields(kind):
        if field.name not in node:  # of a run that was made before there was the key
            continue
        name, value, allowed = f"{where}{field.name}", node[field.name], field.metadata.get(ALLOWED)
        if isinstance(value, dict) and (below := node_type(field)):
            check_values(value, below, f"{name}.")
        elif allowed and not (value is None and may_be_null(field)):
            for item in value if isinstance(value, list) else [value]:
                if not allowed.has(item):
                    near = _near(item, allowed.choices)
                    raise ConfigError(f"{name} must be {allowed}. Received: {shown(item)}.{near}")


def _check_normalization(tree: dict) -> None:
    for name, values in tree["data"]["normalization"].items():
        key = f"data.normalization.{name}"
        if not (isinstance(values, list) and values and all(is_number(v) and math.isfinite(v) for v in values)):
            raise ConfigError(
                f"{key} must be a list of numbers, one or one a channel. Received: {values}. Example: {key}=[0.5]"
            )


def _check_profile(profile: Any) -> None:
    if profile is not None and not (len(profile) == 2 and 0 <= profile[0] < profile[1]):
        raise ConfigError(f"trainer.profile must be [first, last] with 0 <= first < last. Received: {profile}.")


def _check_validation(tree: dict) -> None:
    value = tree["data"]["validation"]
    if isinstance(value, str):
        return  # a split's name: known once the data set's metadata is read
    # 1 could mean everything or a single example; neither is useful.
    if not is_number(value) or value < 0 or value == 1 or (isinstance(value, float) and value > 1):
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
    if task.get("_target_") == Classification._target_:
        _check_classification(task)
    output = tree["paths"]["output_dir"]
    if not output:
        raise ConfigError("paths.output_dir must name a folder. Received nothing. Example: paths.output_dir=./mlruns")
    if os.path.exists(output) and not os.path.isdir(output):
        raise ConfigError(f"paths.output_dir must be a folder. Received: {output}, which is a file.")


def _check_classification(task: dict) -> None:
    for metric in task.get("metrics", []):
        if not re.fullmatch(r"accuracy|precision|recall|f1|top_[1-9][0-9]*_accuracy", metric):
            known = ("accuracy", "top_5_accuracy", "precision", "recall", "f1")
            raise ConfigError(f"task.metrics: there is no metric {metric!r}.{did_you_mean(metric, known)}")
    weights = task.get("class_weights")
    if not (
        weights in (None, "balanced") or (isinstance(weights, list) and all(is_number(w) and w >= 0 for w in weights))
    ):
        raise ConfigError(f"task.class_weights must be null, balanced or a list of numbers >= 0. Received: {weights}.")


def _near(value: Any, choices: tuple[Any, ...]) -> str:
    hint = did_you_mean(str(value), map(shown, choices))
    return hint if hint.startswith(" Did") else ""
