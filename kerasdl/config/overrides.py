"""Turns a command line as people type it into one that Hydra accepts.

Hydra expects its flags before the overrides, but people type `model=cnn -m seed=0,1`. It takes a choice from a group as
a string or a list of strings, but reads `null`, `nan` and `3` as other types. Here `null` chooses nothing from an
optional group, and a name that looks like a number stays a name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from kerasdl.config.typed import hydra_value
from kerasdl.errors import ConfigError


def groups(folder: Path) -> list[str]:
    """Returns the names of a configuration's groups: the folders of conf/ except `base`."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != "base")


def options(folder: Path, group: str) -> list[str]:
    """Returns the names of a group's options."""
    return sorted(file.stem for file in (folder / group).glob("*.yaml"))


def flags_first(words: Sequence[str]) -> list[str]:
    """Returns a command line with Hydra's flags, and the values that they take, before the overrides."""
    from hydra._internal.utils import get_args_parser

    actions = get_args_parser()._option_string_actions
    flags: list[str] = []
    overrides: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        action = actions.get(word)
        if action is None:
            (flags if word.startswith("-") else overrides).append(word)
        elif action.nargs == "?":  # without a value, it would take the next override for its value
            value = left.pop(0) if left and left[0] in (action.choices or ()) else action.const
            flags.append(f"{action.option_strings[0]}={value}")
        elif action.nargs is None and left:
            flags += [word, left.pop(0)]
        else:
            flags.append(word)
    return [*flags, *overrides]


def for_hydra(words: Sequence[str], folder: Path) -> list[str]:
    """Returns the words of a command line, or overrides, as Hydra accepts them.

    Args:
        words: as typed, e.g. `["-m", "debug=null", "resume=0012"]`.
        folder: conf/, with a `train.yaml`.

    Raises:
        ConfigError: `null` for a group that must have a choice.
    """
    known = groups(folder)
    return [_for_hydra(word, known, folder) for word in words]


def _for_hydra(word: str, known: Sequence[str], folder: Path) -> str:
    key, _, typed = word.partition("=")
    group = key.lstrip("+")
    if group not in (*known, "resume"):
        return word
    value = _value(word)
    if value is None and group in known:
        if not _is_optional(group, folder):
            raise ConfigError(f"{group} must be one of {', '.join(options(folder, group))}. Received: null.")
        return f"{group}=[]"
    if isinstance(value, bool | int | float):
        return f"{key}='{typed.strip()}'"
    if isinstance(value, list) and any(not isinstance(item, str) for item in value):
        return f"{key}={hydra_value([str(item) for item in value if item is not None])}"
    return word


def _is_optional(group: str, folder: Path) -> bool:
    """Returns whether a group may be left out: train.yaml chooses null, a list, or an `optional` option from it."""
    for default in OmegaConf.load(folder / "train.yaml").defaults:
        if OmegaConf.is_dict(default):
            [(name, choice)] = default.items()
            if str(name).removeprefix("optional ") == group:
                return choice is None or OmegaConf.is_list(choice) or str(name).startswith("optional ")
    return False


def _value(override: str) -> Any:
    """Returns the value of an override; the override itself if it sweeps over values or Hydra can't parse it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return override  # Hydra will report what is wrong
    return override if parsed.is_sweep_override() else parsed.value()
