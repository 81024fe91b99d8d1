"""Commands as one types them: what the program prints runs as it stands, whatever a path contains.

A shell removes its own quotes. What is left is read once more: `train` and `preview` read it in Hydra's grammar, in
which spaces, commas, `=`, parentheses and quotes have a meaning, and the other commands take all after the first `=`.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

_OF_HYDRA = ("train", "preview")


def command(module: str, values: Mapping[str, Any]) -> str:
    """Returns the command `python -m kerasdl.<module> KEY=VALUE ...`, quoted for the shell and for what reads it.

    Args:
        module: the command's module, e.g. `evaluate`.
        values: of its keys, unquoted.
    """
    written = hydra_value if module in _OF_HYDRA else str
    return with_words(module, [f"{key}={written(value)}" for key, value in values.items()])


def with_words(module: str, words: Sequence[str]) -> str:
    """Returns the command `python -m kerasdl.<module> ...` with these arguments, e.g. overrides in Hydra's grammar."""
    return shlex.join(["python", "-m", f"kerasdl.{module}", *words])


def hydra_value(value: Any) -> str:
    """Returns a value in Hydra's grammar; text is put in quotes unless Hydra reads it as that very text without."""
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
    """Returns a text with `${` escaped for OmegaConf, which reads what Hydra has read and would interpolate it."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def _is_plain(text: str) -> bool:
    """Returns whether Hydra reads a text as this very text without quotes."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        read = OverridesParser.create().parse_override(f"key=[{text}]").value()
    except HydraException:
        return False
    return read == [text] and isinstance(read, list) and "${" not in text
