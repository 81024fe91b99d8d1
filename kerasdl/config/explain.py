"""Hydra's and OmegaConf's errors, said in one line that names the key and the nearest name that exists."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError

from kerasdl.errors import ConfigError

_TYPES = {"Integer": "an integer", "Float": "a number", "Boolean": "true or false", "String": "text"}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns " Did you mean ...?" with the nearest of `known`, or all of them when none is near and they are few."""
    names = sorted({str(item) for item in known})
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(names)}." if names and len(names) <= 40 else ""


@contextmanager
def as_config_error() -> Iterator[None]:
    """Turns what Hydra raises while composing into a `ConfigError`; anything else passes."""
    from hydra.errors import HydraException

    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error


def explain(error: Exception) -> str:
    """Returns one line for an error that Hydra raised while it read overrides or composed files."""
    from hydra.errors import MissingConfigException, OverrideParseException

    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
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
    if "is not a ListConfig" in message:
        return " must be a list, such as '[28,28]'."
    return f": {message.splitlines()[0].rstrip('.')}."


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")
