"""Building the objects that a configuration names by `_target_`, and nothing else.

A configuration is data from outside, so a `_target_` may name only classes and functions that kerasdl or Keras
define. The name is checked while the configuration is (`check_target`, without importing anything), and the object
once it is found: `kerasdl.cli.os.system` starts with an allowed name, but belongs to another module. The environment
variable KERASDL_TARGETS, which no configuration can set, adds packages of the user's own: KERASDL_TARGETS=my_package.
"""

import importlib
import inspect
import os
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from kerasdl.config.explain import did_you_mean
from kerasdl.errors import ConfigError

# Where in the tree which part of Keras may be named. Anything that reads files, fetches or runs code stays outside.
_KERAS = {
    "model.layers": ("keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints"),
    "model": ("keras.initializers", "keras.regularizers", "keras.constraints", "keras.layers"),
    "optimizer": ("keras.optimizers",),
    "callbacks": ("keras.callbacks",),
}
_REFUSED = ("keras.layers.Lambda", "keras.layers.TorchModuleWrapper", "keras.layers.JaxLayer", "keras.layers.FlaxLayer",
            "keras.callbacks.LambdaCallback", "keras.callbacks.RemoteMonitor", "keras.layers.TFSMLayer")  # fmt: skip


def check_target(target: Any, where: str) -> None:
    """Raises ConfigError unless `target` may stand at the key `where`, e.g. `model.layers.0._target_`."""
    allowed = _allowed(where)
    text = str(target)
    named = any(text.startswith(f"{prefix}.") for prefix in allowed)
    if not isinstance(target, str) or not named or text in _REFUSED:
        raise ConfigError(
            f"{where} must name a class or function of {', '.join(allowed)}. Received: {target}. "
            "A package of your own is allowed by the environment variable KERASDL_TARGETS=my_package."
        )


def instantiate(node: Any, where: str, **extra: Any) -> Any:
    """Calls what `node._target_` names with the node's other keys and `extra`, nested nodes first.

    Args:
        node: a mapping with `_target_`, from the configuration.
        where: its key, for errors and for what is allowed there, e.g. `optimizer`.
        **extra: further keyword arguments that the program itself gives.

    Raises:
        ConfigError: the target isn't allowed or doesn't exist, or doesn't take these arguments.
    """
    if isinstance(node, DictConfig | ListConfig):
        node = OmegaConf.to_container(node, resolve=True)
    target = node.get("_target_")
    check_target(target, f"{where}._target_")
    function = _locate(target, where)
    arguments = {key: _build(value, f"{where}.{key}") for key, value in node.items() if key != "_target_"}
    _check_arguments(function, {**arguments, **extra}, where)
    try:
        return function(**arguments, **extra)
    except (TypeError, ValueError) as error:
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
    own = tuple(name for name in os.environ.get("KERASDL_TARGETS", "").split(",") if name)
    keras = next((parts for prefix, parts in _KERAS.items() if f"{where}.".startswith(f"{prefix}.")), ())
    # The list of layers is Keras's alone: that is what makes a network from YAML safe to share.
    return keras if where.startswith("model.layers.") else (*keras, "kerasdl", *own)


def _locate(target: str, where: str) -> Any:
    module_name, _, name = target.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{where}._target_: there is no module {module_name}.") from error
    found = getattr(module, name, None)
    if found is None or not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ConfigError(f"{where}._target_: {module_name} has no {name}.{did_you_mean(name, known)}")
    if getattr(found, "__module__", "").split(".")[0] != target.split(".")[0]:
        raise ConfigError(f"{where}._target_: {target} is not defined by {target.split('.')[0]}, so it is refused.")
    return found


def _check_arguments(function: Any, arguments: dict[str, Any], where: str) -> None:
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return  # Keras's own layers and optimizers: they name an unknown argument themselves
    for name in arguments:
        if name not in parameters:
            raise ConfigError(f"{where}.{name}: there is no such key.{did_you_mean(name, parameters)}")
