"""Quotes the commands that the program prints, so that they run as printed, whatever a path contains.

A shell removes its own quotes. Then `train` and `preview` parse what is left in Hydra's grammar, in which spaces,
commas, `=`, parentheses and quotes have a meaning; the other commands take everything after the first `=`.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

_PARSED_BY_HYDRA = ("train", "preview")


def command(module: str, values: Mapping[str, Any]) -> str:
    """Returns the command `python -m kerasdl.<module> KEY=VALUE ...`, quoted for the shell and the command.

    Args:
        module: the command's module, e.g. `evaluate`.
        values: its keys and their values, unquoted.
    """
    written = hydra_value if module in _PARSED_BY_HYDRA else str
    return with_words(module, [f"{key}={written(value)}" for key, value in values.items()])


def with_words(module: str, words: Sequence[str]) -> str:
    """Returns the command `python -m kerasdl.<module> ...` with these arguments, e.g. overrides in Hydra's grammar."""
    return shlex.join(["python", "-m", f"kerasdl.{module}", *words])


def hydra_value(value: Any) -> str:
    """Returns a value in Hydra's grammar; text gets quotes unless Hydra reads it as the same text without them."""
    from hydra.core.override_parser.types import Quote, QuotedString

    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case list():
            return f"[{','.join(map(hydra_value, value))}]"
        case dict():
            return "{" + ",".join(f"{hydra_value(key)}:{hydra_value(item)}" for key, item in value.items()) + "}"
        case _:
            text = str(value)
            return text if _is_plain(text) else QuotedString(_escaped(text), Quote.double).with_quotes()


def _escaped(text: str) -> str:
    """Returns a text with `${` escaped, since OmegaConf would interpolate it after Hydra has parsed it."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def _is_plain(text: str) -> bool:
    """Returns whether Hydra reads a text without quotes as the same text."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        read = OverridesParser.create().parse_override(f"key=[{text}]").value()
    except HydraException:
        return False
    return read == [text] and isinstance(read, list) and "${" not in text
