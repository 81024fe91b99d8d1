"""What the commands on a run share: KEY=VALUE arguments with their help, one-line error messages, exit codes.

    python -m kerasdl.explain run=last input=digit.png method=gradcam

These commands need a few keys and no composed configuration, so they read Hydra's KEY=VALUE syntax without Hydra, which
would slow them down. `kerasdl.tracking.lookup` finds the run that `run=` names.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasdl.catalog import ENTRIES
from kerasdl.config.explain import did_you_mean
from kerasdl.config.metrics import DIRECTIONS
from kerasdl.config.schema import Paths
from kerasdl.errors import ConfigError, UserError
from kerasdl.streams import OutputLost, entry_point

Values = dict[str, Any]
Parse = Callable[[str, str], Any]  # (key, text) -> value; raises ConfigError


def text(key: str, value: str) -> str:
    """Any text."""
    return value


def boolean(key: str, value: str) -> bool:
    """`true` or `false`."""
    if value.lower() not in ("true", "false"):
        raise ConfigError(f"{key} must be true or false. Received: '{value}'.")
    return value.lower() == "true"


def names(key: str, value: str) -> tuple[str, ...]:
    """Texts, separated by commas."""
    found = tuple(item.strip() for item in value.split(",") if item.strip())
    if not found:
        raise ConfigError(f"{key} must name at least one. Received: '{value}'.")
    return found


def choice(*known: str) -> Parse:
    """Returns the parser of one of the `known` values."""

    def parse(key: str, value: str) -> str:
        if value not in known:
            raise ConfigError(f"{key} must be one of {', '.join(known)}. Received: '{value}'.{_near(value, known)}")
        return value

    return parse


def choices(*known: str) -> Parse:
    """Returns the parser of one or more of the `known` values, separated by commas."""

    def parse(key: str, value: str) -> tuple[str, ...]:
        found = names(key, value)
        for item in found:
            if item not in known:
                raise ConfigError(
                    f"{key} must be one or more of {', '.join(known)}. Received: '{item}'.{_near(item, known)}"
                )
        return tuple(dict.fromkeys(found))

    return parse


def integer(low: int, high: int | None = None) -> Parse:
    """Returns the parser of an integer in [low, high]."""
    return lambda key, value: _number(int, key, value, low, high)


def number(low: float, high: float | None = None) -> Parse:
    """Returns the parser of a number in [low, high]."""
    return lambda key, value: _number(float, key, value, low, high)


def numbers(low: float, high: float | None = None) -> Parse:
    """Returns the parser of numbers in [low, high], separated by commas."""
    return lambda key, value: tuple(_number(float, key, item, low, high) for item in names(key, value))


def _number(kind: type, key: str, value: str, low: float, high: float | None) -> Any:
    wanted = f"in [{low}, {high}]" if high is not None else f">= {low}"
    try:
        found = kind(value)
    except ValueError:
        found = None
    if found is None or not low <= found <= (math.inf if high is None else high) or math.isinf(found):
        what = "an integer" if kind is int else "a number"
        raise ConfigError(f"{key} must be {what} {wanted}. Received: '{value}'.")
    return found


def _near(value: str, known: Sequence[str]) -> str:
    hint = did_you_mean(value, known)
    return hint if "mean" in hint else ""


@dataclass(frozen=True)
class Key:
    """A KEY=VALUE argument.

    Attributes:
        name: the key.
        help: its description for `--help`.
        default: its value if it isn't given; `REQUIRED` if it must be given.
        parse: converts its text to its value.
    """

    name: str
    help: str
    default: Any = None
    parse: Parse = text


REQUIRED = object()
# The values also hold the name of the command: what it needs of the run's model is checked when the model is opened.
COMMAND = "command"
DIRECTION = Key(
    "direction",
    "whether a higher or a lower metric is better, if its name doesn't say: maximize or minimize",
    parse=choice(*DIRECTIONS),
)
RUN_KEYS = (
    Key(
        "run",
        "an MLflow run id or its first characters, last, best, the name of a sweep or run, or models:/NAME@ALIAS",
        REQUIRED,
    ),
    Key("experiment", "where to look for last (default: everywhere) and best (default: kerasdl)"),
    Key("metric", "the metric by which run=best is chosen (default: the first of val_accuracy, test_accuracy, ... that "
        "runs have)"),
    DIRECTION,
    Key("checkpoint", "use the weights of the run's last or best checkpoint instead of its model's: last or best",
        parse=choice("last", "best")),
    Key("log", "keep the results with the run in MLflow", True, boolean),
    Key("paths.output_dir", "as given to training", Paths.output_dir),
    Key("tracking.uri", "as given to training (default: the environment's MLFLOW_TRACKING_URI, else the database in "
        "paths.output_dir)"),
)  # fmt: skip
OVERWRITE = Key("overwrite", "replace existing files at output", False, boolean)


def command(
    name: str,
    description: str,
    example: str,
    keys: Sequence[Key],
    run: Callable[[Values], int | None],
    *,
    details: str = "",
    takes_data: bool = False,
) -> Callable[..., None]:
    """Returns the `main` of an entry point whose work is `run(values)`, which returns an exit code or None for 0.

    `main(arguments=None)` parses `sys.argv[1:]` by default. Exit codes: 0 done; 2 a mistyped argument; 1 any other
    failure; 130 Ctrl-C.

    Args:
        name: of the console script, without `kerasdl-`; what the command needs of a run is in `kerasdl.catalog`.
        description: one line for `--help`.
        example: a command for `--help`.
        keys: its arguments.
        run: does the work; `values` has each key's value, by name, and the command's own name as `COMMAND`.
        details: a paragraph for `--help`, below the description.
        takes_data: whether `data=NAME` and `data.KEY=VALUE` may be given; `values["data"]` lists them.
    """

    @entry_point()
    def main(arguments: list[str] | None = None) -> None:
        texts = (description, details, needs(name))
        given = _parser(name, texts, example, keys, takes_data).parse_args(arguments).arguments
        try:
            code = run({**parse(given, keys, takes_data=takes_data), COMMAND: name})
        except UserError as error:
            print(f"Error: {error}", file=sys.stderr)
            code = error.exit_code
        except OutputLost:
            code = 1
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            code = 130
        if code:
            sys.exit(code)

    return main


def parse(arguments: Sequence[str], keys: Sequence[Key], *, takes_data: bool = False) -> Values:
    """Returns each key's value, from KEY=VALUE arguments or its default; see `command`.

    Raises:
        ConfigError: an argument that isn't KEY=VALUE, an unknown key, an invalid value, or a missing required key.
    """
    by_name = {key.name: key for key in keys}
    values: Values = {key.name: key.default for key in keys}
    if takes_data:
        values["data"] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if takes_data and (name == "data" or name.startswith("data.")) and equals:
            values["data"].append(argument)
        elif name not in by_name:
            raise ConfigError(f"{name}: there is no such key.{did_you_mean(name, by_name)}")
        elif not equals or not value:
            raise ConfigError(f"arguments must be KEY=VALUE. Received: '{argument}'. Give {name} a value: {name}=...")
        else:
            values[name] = by_name[name].parse(name, value)
    for name, value in values.items():
        if value is REQUIRED:
            raise ConfigError(f"{name}=... must be given: {by_name[name].help}.")
    return values


def fresh_directory(path: str | Path, overwrite: bool) -> Path:
    """Returns `path` as a directory that may be written to; creates nothing.

    Raises:
        UserError: it has files already, and `overwrite` is false.
    """
    found = Path(path).expanduser().absolute()
    taken = found.is_dir() and any(found.iterdir())
    if found.exists() and not found.is_dir():
        raise UserError(f"output must be a directory. Received the file '{path}'. Name another one.")
    if taken and not overwrite:
        raise UserError(f"output: '{path}' has files already. Name another directory, or add overwrite=true.")
    return found


def fresh_file(path: str | Path, overwrite: bool) -> Path:
    """Returns `path` as a file that may be written; creates nothing.

    Raises:
        UserError: it exists and `overwrite` is false, it is a directory, or its directory is missing.
    """
    found = Path(path).expanduser().absolute()
    if found.is_dir():
        raise UserError(f"output must be a file. Received the directory '{path}'. Name a file in it.")
    if found.exists() and not overwrite:
        raise UserError(f"output: '{path}' exists. Name another file, or add overwrite=true.")
    if not found.parent.is_dir():
        raise UserError(f"output must be in a directory that exists. Received: '{path}'. Create '{found.parent}'.")
    return found


def needs(name: str) -> str:
    """Returns the sentence for `--help` on what a command needs of a run's model."""
    need = ENTRIES[name].needs
    return f"Needs {need.describe()} ({need})." if need else "Works for every model."


def paragraphs(*texts: str) -> str:
    """Returns texts for `--help`: each wrapped, separated by empty lines; empty texts are left out."""
    import textwrap

    return "\n\n".join(textwrap.fill(text, 100, break_on_hyphens=False) for text in texts if text)


def _parser(
    name: str, texts: Sequence[str], example: str, keys: Sequence[Key], takes_data: bool
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"kerasdl-{name}",
        description=paragraphs(*texts),
        epilog=f"Example: {example}",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    lines = [_help(key) for key in keys]
    if takes_data:
        lines.append(_line("data=NAME", "another data set of conf/data; data.KEY=VALUE changes a key of it"))
    parser.add_argument("arguments", nargs="*", metavar="KEY=VALUE", help="\n".join(lines).replace("%", "%%"))
    return parser


def _help(key: Key) -> str:
    shown = key.default
    if isinstance(key.default, bool):
        shown = str(key.default).lower()
    elif isinstance(key.default, tuple):
        shown = ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in key.default)
    default = "" if shown is None or shown is REQUIRED or "(default" in key.help else f" (default {shown})"
    return _line(f"{key.name}=", f"{key.help}{default}")


def _line(name: str, what: str) -> str:
    import textwrap

    return textwrap.fill(what, 100, initial_indent=f"{name:<20} ", subsequent_indent=" " * 21, break_on_hyphens=False)
