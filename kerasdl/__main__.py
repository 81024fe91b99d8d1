"""`kerasdl`, or `python -m kerasdl`: lists the commands, and runs one: `kerasdl evaluate run=last`.

A command is a module of the package, or a folder with a `__main__.py`; each is also a program of its own,
`python -m kerasdl.evaluate` or `kerasdl-evaluate`. Only the one that is asked for is imported.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence

from kerasdl.catalog import COMMANDS, ENTRIES
from kerasdl.config.explain import did_you_mean
from kerasdl.streams import entry_point

NAMES = tuple(ENTRIES)


def module_of(name: str) -> str:
    """Returns the module that has the `main` of a command: its own, or the `__main__` of its folder."""
    spec = importlib.util.find_spec(f"kerasdl.{name}")
    is_folder = spec is not None and spec.submodule_search_locations is not None
    return f"kerasdl.{name}.__main__" if is_folder else f"kerasdl.{name}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that comes first in `arguments` (`sys.argv[1:]` by default) with the rest of them.

    Exit codes: 0 done; 2 there is no such command; else the command's own.
    """
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in NAMES:
        # As if its own program had been called: it reads its arguments, and its name for messages, from here.
        sys.argv = [f"kerasdl-{name}", *rest]
        importlib.import_module(module_of(name)).main()
    else:
        _without_a_command(name)


@entry_point()
def _without_a_command(argument: str) -> None:
    if argument in ("-h", "--help", "help"):
        print(_listing(), end="")
        return
    print(
        f"Error: there is no command '{argument}'.{did_you_mean(argument, NAMES)} kerasdl --help lists what each does.",
        file=sys.stderr,
    )
    sys.exit(2)


def _listing() -> str:
    lines = ["usage: kerasdl COMMAND [ARGUMENT ...]", ""]
    for title, commands in COMMANDS.items():
        lines += [f"{title}:", *(f"  {name:<12} {entry.does}" for name, entry in commands.items()), ""]
    lines.append("Help on a command: kerasdl COMMAND --help. Example: kerasdl train model=cnn data=mnist")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
