"""The rooms of the package: which floor each is on, that none imports what is above it, and what the top level offers.

A room is a module or a folder directly below `kerasdl/`. It may import rooms of lower floors; never one beside it,
unless `BESIDE` says so. Imports inside functions count, those for type checkers alone don't. All of this is read from
the source, so that nothing has to be imported.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import kerasdl
from kerasdl.__main__ import NAMES, main, module_of

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kerasdl"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# From the top. A name is a room; rooms in one line are on one floor.
FLOORS = (
    f"{' '.join(NAMES)} __main__",  # the commands that a user can type
    "cli",  # Hydra's command line, for those of them that compose a configuration
    "sweeps",
    "experiment trained",
    "runs tasks",
    "training",
    "models",
    "data",
    "images figures attacks",
    "tracking",
    "commands",  # KEY=VALUE arguments
    "catalog",  # the list of commands
    "config",
    "console quiet streams files errors seeds channels measures",
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}
# Rooms that may import another one of their own floor.
BESIDE = {
    ("demo", "explain"),  # shows a heat map
}
# Imports that still lead upwards: file and room. This list only shrinks.
EXCEPTIONS: set[tuple[str, str]] = set()


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def _nodes(tree: ast.AST, *, in_functions: bool) -> Iterator[ast.AST]:
    """Yields what is run of a module, without what is for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not in_functions:
            continue
        yield node
        yield from _nodes(node, in_functions=in_functions)


def imports(module: str, *, in_functions: bool) -> set[str]:
    """Returns the modules of the package that a module imports."""
    found: set[str] = set()
    for node in _nodes(MODULES[module], in_functions=in_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative imports hide which room is meant"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return {name for name in found if name in MODULES}


def room(module: str) -> str:
    """Returns `evaluate` for `kerasdl.evaluate.classes`; "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def upward_imports() -> set[tuple[str, str]]:
    """Returns (file, room) for each import of a room that isn't on a lower floor."""
    found = set()
    for module in MODULES:
        own = room(module)
        for other in {room(imported) for imported in imports(module, in_functions=True)} - {own, ""}:
            allowed = FLOOR_OF[own] < FLOOR_OF[other] or (own, other) in BESIDE
            if own and not allowed:
                found.add((module.removeprefix("kerasdl."), other))
    return found


def test_every_room_has_a_floor():
    assert {room(module) for module in MODULES} - {""} == set(FLOOR_OF)


def test_no_room_imports_one_that_is_above_or_beside_it():
    found = upward_imports()
    assert found - EXCEPTIONS == set(), "import from a lower floor, or move what is needed there"
    assert EXCEPTIONS - found == set(), "mended: remove these from EXCEPTIONS"


def test_training_knows_neither_images_nor_labels():
    """Loop, trainer, state, checkpoints and callbacks are the same for every task."""
    for path in (PACKAGE / "training").glob("*.py"):
        text = path.read_text().replace("images_per_second", "")  # a metric's name in earlier versions
        assert re.findall(r"(?i)images?|labels?", text) == [], path.name


def test_rooms_that_may_import_one_beside_them_do():
    found = {(room(module), room(other)) for module in MODULES for other in imports(module, in_functions=True)}
    assert found >= BESIDE


def test_every_module_can_be_imported_first():
    """No circle of imports at module level: whichever module is imported first finds complete ones."""
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join([*path[path.index(module) :], module])}"
        if module not in done:
            for other in sorted(imports(module, in_functions=False)):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


HEAVY = (
    "gradio", "hydra", "keras", "matplotlib", "mlflow", "scipy", "sklearn", "tensorflow", "tensorflow_datasets",
)  # fmt: skip


def test_commands_and_what_they_check_with_import_nothing_that_takes_long():
    """Help and mistakes are answered by these alone."""
    light = [*map(module_of, NAMES), *(f"kerasdl.{name}" for name in ("cli", "commands", "runs", "errors", "files"))]
    program = (
        f"import importlib, sys\nfor name in {light}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_every_command_is_a_module_and_a_console_script_and_the_other_way_round():
    scripts = dict(PROJECT["project"]["scripts"])
    assert scripts.pop("kerasdl") == "kerasdl.__main__:main"
    assert scripts == {f"kerasdl-{name}": f"{module_of(name)}:main" for name in NAMES}
    folders = {path.parent.name for path in PACKAGE.glob("*/__main__.py")}
    files = {path.stem for path in PACKAGE.glob("*.py") if "\nmain = " in (text := path.read_text()) or
             "\ndef main(" in text} - {"__main__"}  # fmt: skip
    assert folders | files == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_command_runs_as_a_module_too(name):
    last = MODULES[module_of(name)].body[-1]
    assert ast.unparse(last).startswith("if __name__ == '__main__':\n    main(")


def test_every_folder_is_in_the_wheel():
    folders = {_name(path) for path in PACKAGE.rglob("__init__.py")}
    assert folders == set(PROJECT["tool"]["setuptools"]["packages"]) - {"kerasdl.conf", "hydra_plugins"}


def test_every_folder_says_what_it_holds():
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(MODULES[_name(path)]), path


@pytest.fixture
def kerasdl_command(monkeypatch, capsys):
    """Runs `kerasdl` with arguments; returns its exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kerasdl", *arguments])
        code = None
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_every_command_in_a_line(kerasdl_command, arguments):
    code, shown, errors = kerasdl_command(*arguments)
    assert (code, errors) == (None, "")
    lines = [line.split(maxsplit=1) for line in shown.splitlines() if line.startswith("  ")]
    assert tuple(name for name, _ in lines) == NAMES
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_a_mistyped_command_is_one_line_with_a_suggestion(kerasdl_command):
    assert kerasdl_command("evalute", "run=last") == (
        2,
        "",
        "Error: there is no command 'evalute'. Did you mean 'evaluate'? kerasdl --help lists what each does.\n",
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_command_gets_its_arguments(kerasdl_command, name):
    code, shown, errors = kerasdl_command(name, "--help")
    assert (code or 0, errors) == (0, "")
    assert f"kerasdl-{name}" in shown or f"kerasdl.{name}" in shown


def test_a_command_keeps_its_exit_code(kerasdl_command):
    code, shown, errors = kerasdl_command("evaluate", "rnu=last")
    assert (code, shown) == (2, "")
    assert errors == "Error: rnu: there is no such key. Did you mean 'run'?\n"


def test_python_m_kerasdl_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "kerasdl", "train", "model=cn"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "model=cn: there is no such option. Did you mean 'cnn'?" in done.stderr


def test_the_package_itself_imports_nothing_of_its_own():
    assert imports("kerasdl", in_functions=False) == set()
    assert set(kerasdl.__all__) == {"compose", "load", "run"}
