"""Turns errors of Hydra and OmegaConf into one line that names the key and the nearest name that exists."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationKeyError,
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    InterpolationValidationError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
    ValidationError,
)

from kerasdl.errors import ConfigError

_TYPES = {"Integer": "an integer", "Float": "a number", "Boolean": "true or false", "String": "text"}


class InterpolationError(ConfigError):
    """A value such as `${oc.env:NAME}` or `${trainer.epochs}` that refers to something that doesn't exist."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns " Did you mean ...?" with the nearest of `known`, or all of them when none is near and they are few."""
    names = sorted({str(item) for item in known})
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(names)}." if names and len(names) <= 40 else ""


@contextmanager
def as_config_error() -> Iterator[None]:
    """Turns errors that Hydra raises while it composes into a `ConfigError`; other errors pass unchanged."""
    from hydra.errors import HydraException

    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise config_error(error) from error
    except ValueError as error:
        if not str(error).startswith("Config group override"):  # Hydra's, for a group that conf/ doesn't have
            raise
        raise ConfigError(f"a group's choice must be the name of an option, or a list of names ({error}).") from error


def config_error(error: Exception) -> ConfigError:
    """Returns the error to raise for one of Hydra's or OmegaConf's."""
    cause = _cause(error)
    if isinstance(cause, InterpolationResolutionError):
        return InterpolationError(_explain_interpolation(cause))
    return ConfigError(_explain(error, cause))


def _cause(error: Exception) -> Exception:
    """Returns OmegaConf's error, where Hydra has wrapped one."""
    return error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error


def _explain(error: Exception, cause: Exception) -> str:
    """Returns one line for an error that Hydra raised while it read overrides or composed files."""
    from hydra.errors import MissingConfigException, OverrideParseException

    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        options = sorted(error.options)
        near = did_you_mean(option, options)
        listed = "" if near.startswith(" Known") else f" Known: {', '.join(options)}."
        return f"{group}={option}: there is no such option.{near}{listed}"
    if isinstance(error, OverrideParseException):
        reason = _first_line(error)
        return f"{error.override!r} is not an override: {reason}. Write key=value, and quote values with ',=[]'."
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        parent = cause.parent_node
        known = [str(key) for key in parent] if isinstance(parent, DictConfig) else []
        name = str(cause.full_key or cause.key)
        hint = did_you_mean(str(cause.key), known)
        if not hint.startswith(" Did") and (elsewhere := _elsewhere(str(cause.key), parent)):
            hint = f" Did you mean {elsewhere!r}?"
        return f"{name}: there is no such key.{hint}"
    if isinstance(cause, ValidationError):
        return f"{cause.full_key}{_expected(str(cause))}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if cause is not error:
        lines.append(_first_line(cause))
    return " ".join(lines[:4]) or type(error).__name__


def _explain_interpolation(error: InterpolationResolutionError) -> str:
    """Returns one line that names the key, what it refers to, and why that can't be resolved."""
    key, parent, message = str(error.full_key), error.parent_node, _first_line(error)
    node = parent._get_node(error.key) if parent is not None else None
    value = node._value() if node is not None else "the interpolation"
    said = f"{key}: {value} can't be resolved:"
    if isinstance(error, InterpolationValidationError):
        return f"{key}{_expected(message.partition(': ')[2])} It comes from {value}."
    if unset := re.search(r"Environment variable '(.+)' not found", message):
        name = unset[1]
        return f"{said} the environment variable {name} isn't set. Set it, or give a default: ${{oc.env:{name},VALUE}}."
    if isinstance(error, InterpolationKeyError) and (missing := re.search(r"key '(.+)' not found", message)):
        name = missing[1]
        return f"{said} there is no key {name}.{_nearest_key(name, parent)}"
    if isinstance(error, InterpolationToMissingValueError):
        name = message.rpartition(": ")[2]
        return f"{said} {name} has no value. Give one: {name}=..."
    if isinstance(error, UnsupportedInterpolationType):
        return f"{said} there is no resolver {message.rpartition(' ')[2]}. Known: oc.env, oc.select, oc.decode, ..."
    if message.startswith("Recursive"):
        return f"{said} it refers to itself."
    return f"{said} {message.partition('interpolation: ')[2] or message}."


def _nearest_key(name: str, node: Any) -> str:
    """Returns " Did you mean ...?" for the path of a key that doesn't exist; "" if no key is near."""
    group, _, key = name.rpartition(".")
    parent = OmegaConf.select(node._get_root(), group, throw_on_resolution_failure=False) if group else node._get_root()
    near = did_you_mean(key, parent) if isinstance(parent, DictConfig) else ""
    if near.startswith(" Did"):
        near_key = near.split("'")[1]
        return f" Did you mean {f'{group}.{near_key}' if group else near_key!r}?"
    elsewhere = _elsewhere(key, node)
    return f" Did you mean {elsewhere!r}?" if elsewhere else ""


def _elsewhere(key: str, node: Any) -> str | None:
    """Returns the path of a key of this name in another group: `optimizer.learning_rate` for `learning_rate`."""
    root: Any = node._get_root() if isinstance(node, DictConfig) else None
    name = {"lr": "learning_rate"}.get(key, key)
    for group in root or ():
        child = root._get_node(group)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing() and name in child:
            return f"{group}.{name}"
    return None


def _expected(message: str) -> str:
    converted = re.match(r"Value '(.*)' of type '.*' could not be converted to (\w+)", message)
    if converted:
        value, kind = converted.groups()
        return f" must be {_TYPES.get(kind, kind)}. Received: {value}."
    if wrong := re.match(r"Value '(.*)' is not a valid bool", message):
        return f" must be true or false. Received: {wrong[1]}."
    if "is not Optional" in message or "NoneType is not" in message:
        return " must have a value. Received: null."
    if "is not a ListConfig" in message:
        return " must be a list, such as '[28,28]'."
    return f": {message.splitlines()[0].rstrip('.')}."


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")
