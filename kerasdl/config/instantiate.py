"""Builds the objects that a configuration names by `_target_`, and nothing else.

A configuration is data from outside. Each place in the tree may name only what belongs there: a layer in a list of
layers, an optimizer under `optimizer`. The name is checked with the configuration (`check_target`), without importing
anything. The object is checked when it is found: it must be defined by the package that its name says, and what comes
from Keras must be a class of the right kind. What kerasdl itself offers has public names (`kerasdl.config.renames`).
A user's own package is allowed by the environment variable KERASDL_TARGETS=my_package, which no configuration can set.
"""

import importlib
import inspect
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from kerasdl.config.explain import did_you_mean
from kerasdl.config.renames import RENAMES, is_in_room, is_public, location, public_name
from kerasdl.config.schema import CHOICES
from kerasdl.config.source import own_packages
from kerasdl.errors import ConfigError

_PARTS_OF_LAYERS = ("keras.initializers", "keras.regularizers", "keras.constraints")
# What may be named at a key or below it, by the first prefix that fits.
_PLACES = {
    "model.layers.": ("keras.layers", *_PARTS_OF_LAYERS),
    "model._target_": ("kerasdl.models",),
    "model.": ("kerasdl.models", *_PARTS_OF_LAYERS),  # a network by its role, or a part of the layers
    "data.": ("kerasdl.data",),
    "task.": ("kerasdl.tasks",),
    "optimizer.": ("keras.optimizers",),
    "schedule.": ("kerasdl.schedules",),
    "callbacks.": ("keras.callbacks", "kerasdl.callbacks"),
}
# The class that everything from a part of Keras must derive from.
_KINDS = {
    "keras.layers": "Layer",
    "keras.initializers": "Initializer",
    "keras.regularizers": "Regularizer",
    "keras.constraints": "Constraint",
    "keras.optimizers": "Optimizer",
    "keras.callbacks": "Callback",
}
# Layers and callbacks that run code, read files, delete folders or send data somewhere.
_REFUSED = {
    *(f"keras.layers.{name}" for name in ("Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer")),
    *(f"keras.layers.{name}" for name in ("StringLookup", "IntegerLookup", "TextVectorization")),
    *(f"keras.callbacks.{name}" for name in ("LambdaCallback", "RemoteMonitor", "BackupAndRestore", "CSVLogger")),
}


def check_target(target: Any, where: str) -> None:
    """Raises ConfigError unless `target` may stand at the key `where`, e.g. `model.layers.0._target_`."""
    allowed = _allowed(where)
    text = str(target)
    named = any(is_in_room(text, room) for room in allowed)
    if not isinstance(target, str) or not named or text in _REFUSED:
        raise ConfigError(
            f"{where} must name a class or function of {', '.join(allowed)}. Received: {target}. "
            "A package of your own is allowed by the environment variable KERASDL_TARGETS=my_package."
        )


def locate(target: str, where: str) -> Any:
    """Returns the class or function that `target` names at the key `where`, e.g. `data`.

    Raises:
        ConfigError: it isn't allowed there or doesn't exist.
    """
    target = public_name(target)
    check_target(target, f"{where}._target_")
    return _locate(target, where)


def instantiate(node: Any, where: str, offered: Mapping[str, Any] = MappingProxyType({}), **extra: Any) -> Any:
    """Calls what `node._target_` names with the node's other keys and `extra`, nested nodes first.

    Args:
        node: a mapping with `_target_`, from the configuration.
        where: its key, for errors and for what is allowed there, e.g. `optimizer`.
        offered: further keyword arguments, of which it gets those that it names as parameters.
        **extra: further keyword arguments, which it must take.

    Raises:
        ConfigError: the target isn't allowed, doesn't exist, or doesn't take these arguments.
    """
    if isinstance(node, DictConfig | ListConfig):
        node = OmegaConf.to_container(node, resolve=True)
    target = node.get("_target_")
    function = locate(target, where)
    extra |= {name: value for name, value in offered.items() if name in inspect.signature(function).parameters}
    arguments = {key: _build(value, f"{where}.{key}") for key, value in node.items() if key != "_target_"}
    _check_arguments(function, {**arguments, **extra}, where)
    try:
        return function(**arguments, **extra)
    except (TypeError, ValueError) as error:
        if not target.startswith("keras."):
            raise  # a defect in that code: its author needs the traceback
        first = (str(error).strip().splitlines() or [""])[0]
        raise ConfigError(f"{where}: {target} refuses its arguments: {first}") from error


def _build(value: Any, where: str) -> Any:
    if isinstance(value, dict) and "_target_" in value:
        return instantiate(value, where)
    if isinstance(value, dict):
        return {key: _build(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_build(item, f"{where}.{index}") for index, item in enumerate(value)]
    return value


def _allowed(where: str) -> tuple[str, ...]:
    # Networks by role are described as a single one is, below their roles.
    where = re.sub(r"^model\.\w+\.(?=layers\.)", "model.", where)
    places = next((parts for prefix, parts in _PLACES.items() if where.startswith(prefix)), ())
    if where.startswith("model.layers."):
        return places  # Keras's alone: that is what makes a network from YAML safe to share
    return (*places, *own_packages())


def _locate(target: str, where: str) -> Any:
    """Imports what a target names.

    Raises:
        ConfigError: it doesn't exist, is defined by another package, or is of the wrong kind.
    """
    module_name, name = location(target)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if is_public(target) and error.name == module_name:
            raise _no_such_name(target, where) from error
        raise ConfigError(
            f"{where}._target_: there is no module {error.name}. Install its package, or set PYTHONPATH to the folder "
            "that holds it."
        ) from error
    found = getattr(module, name, None)
    if is_public(target) and getattr(found, "__module__", None) != module_name:
        raise _no_such_name(target, where)
    if found is None or not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ConfigError(f"{where}._target_: {module_name} has no {name}.{did_you_mean(name, known)}")
    if getattr(found, "__module__", "").split(".")[0] != target.split(".")[0]:
        raise ConfigError(f"{where}._target_: {target} is not defined by {target.split('.')[0]}, so it is refused.")
    kind = _KINDS.get(module_name)
    if kind and not (inspect.isclass(found) and issubclass(found, getattr(module, kind))):
        raise ConfigError(f"{where}._target_: {target} must be a {kind} class.")
    return found


def _no_such_name(target: str, where: str) -> ConfigError:
    """Returns the error to raise for a name that kerasdl doesn't have."""
    known = {*RENAMES.values(), *(kind._target_ for base in CHOICES.values() for kind in base.__subclasses__())}
    return ConfigError(f"{where}._target_: there is no {target}.{did_you_mean(target, known)}")


def _check_arguments(function: Any, arguments: dict[str, Any], where: str) -> None:
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    unknown = [name for name in arguments if name not in parameters]
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and name not in arguments
    ]
    # Keras's classes take **kwargs and report unknown names themselves. A required name that is missing may have been
    # misspelt.
    if unknown and (missing or not takes_any):
        raise ConfigError(f"{where}.{unknown[0]}: there is no such key.{did_you_mean(unknown[0], parameters)}")
    if missing:
        raise ConfigError(f"{where}.{missing[0]} has no value. Give one: {where}.{missing[0]}=...")
