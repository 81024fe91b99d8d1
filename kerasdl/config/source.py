"""Digests of the user's own source code that a configuration names: code decides a result, too.

The digest of a target covers its module, the packages that contain the module, and every module of the user's own that
these import, directly or not. Comments and formatting don't count; docstrings do. Modules are found and parsed but not
imported, so that a configuration is refused or hashed in milliseconds.

What the source doesn't show isn't covered: modules imported by a computed name, files that the code reads, and
installed packages that `KERASDL_TARGETS` doesn't name.
"""

import ast
import functools
import hashlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from kerasdl.errors import ConfigError

SOURCE = "_source_"  # the key for the digest, beside a `_target_` of the user's own
TARGETS = "KERASDL_TARGETS"
_OTHERS = ("keras", "kerasdl")  # identified by their versions
_INSTALLED = {"site-packages", "dist-packages"}


def own_packages() -> list[str]:
    """Returns the user's own packages or modules whose targets the environment allows."""
    return [name for name in os.environ.get(TARGETS, "").split(",") if name]


def targets(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (key, target) for every `_target_` below `node`, e.g. `("model._target_", "kerasdl.models.cnn")`."""
    children: Any = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        path = f"{where}.{key}" if where else str(key)
        if key == "_target_":
            yield path, child
        else:
            yield from targets(child, path)


def sources(tree: Mapping[str, Any]) -> dict[str, str]:
    """Returns the digest of the source of each of the user's own targets, by the key of its node, e.g. `model`.

    Raises:
        ConfigError: a module doesn't exist, can't be read, or isn't valid Python.
    """
    return {where.removesuffix("._target_"): digest(target, where) for where, target in own_targets(tree)}


def own_targets(tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields (key, target) for every target of the user's own."""
    for where, target in targets(tree):
        if isinstance(target, str) and _top(target) not in _OTHERS:
            yield where, target


def recorded_sources(params: Mapping[str, str]) -> dict[str, str]:
    """Returns what `sources` gave when a run began, from its params in MLflow."""
    ending = f".{SOURCE}"
    return {key.removesuffix(ending): value for key, value in params.items() if key.endswith(ending)}


def with_sources(tree: Any, digests: Mapping[str, str], where: str = "") -> Any:
    """Returns a copy of plain containers in which each node that `digests` names has its digest as `_source_`."""
    if isinstance(tree, list):
        return [with_sources(item, digests, f"{where}.{index}") for index, item in enumerate(tree)]
    if not isinstance(tree, Mapping):
        return tree
    paths = {key: f"{where}.{key}" if where else str(key) for key in tree}
    copied = {key: with_sources(item, digests, paths[key]) for key, item in tree.items()}
    return {**copied, SOURCE: digests[where]} if where in digests else copied


def digest(target: str, where: str) -> str:
    """Returns 16 hexadecimal digits of the SHA-256 of the source that `target` depends on.

    Args:
        target: e.g. `my_package.networks.build`.
        where: its key, for errors.

    Raises:
        ConfigError: a module doesn't exist, can't be read, or isn't valid Python.
    """
    module = target.rpartition(".")[0]
    own = {_top(target), *map(_top, own_packages())}
    found: dict[str, str] = {}
    waiting = [*_with_holders(module)]
    while waiting:
        name = waiting.pop()
        if name in found or not _is_own(name, own):
            continue
        content, imported = _read(name, where)
        found[name] = content
        waiting += [holder for each in imported for holder in _with_holders(each)]
    if not found.get(module):
        if module == "__main__":
            raise ConfigError(
                f"{where}: {target} isn't defined in a file, so changes to it can't be noticed. Move it into a module."
            )
        raise ConfigError(
            f"{where}: there is no module {module}. Install its package, or set PYTHONPATH to the folder that holds it."
        )
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]


def _top(name: str) -> str:
    return name.partition(".")[0]


def _with_holders(module: str) -> Iterator[str]:
    """Yields a module and the packages that contain it, which are imported first."""
    while module:
        yield module
        module = module.rpartition(".")[0]


def _is_own(module: str, own: set[str]) -> bool:
    """Returns whether a module is one of the user's own: of their packages, or installed nowhere."""
    top = _top(module)
    if top in own:
        return True
    if top in _OTHERS or top in sys.stdlib_module_names:
        return False
    spec, folders = _find(top)
    places = [spec.origin] if spec and spec.has_location and spec.origin else folders
    return bool(places) and not any(_INSTALLED & {*Path(place).parts} for place in places)


def _read(module: str, where: str) -> tuple[str, Sequence[str]]:
    """Returns the digest of a module's own source and the names that it imports; "" and none if there is no module.

    A name that is imported from a module may be one of its functions. A package without a file has nothing to read.
    """
    spec, folders = _find(module)
    if spec is None or not spec.has_location or spec.origin is None:
        return ("", ()) if not folders else ("a package without a file", ())
    try:
        data: bytes = spec.loader.get_data(spec.origin)  # type: ignore[union-attr]
        if not spec.origin.endswith(".py"):  # compiled: what it imports can't be seen
            return hashlib.sha256(data).hexdigest(), ()
        content, imported = _parsed(data)
    except OSError as error:
        raise ConfigError(f"{where}: {spec.origin} can't be read ({error.strerror or error}).") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ConfigError(
            f"{where}: {spec.origin}{line} isn't valid Python: {getattr(error, 'msg', error)}."
        ) from error
    package = module if folders else module.rpartition(".")[0]
    return content, [_absolute(name, package) for name in imported]


@functools.lru_cache(maxsize=1024)
def _parsed(data: bytes) -> tuple[str, Sequence[str]]:
    """Returns a digest of a module's code and the names that it imports, relative ones with their dots."""
    tree, names = ast.parse(data), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names += [base, *(f"{base}{'.' if node.module else ''}{alias.name}" for alias in node.names)]
    return hashlib.sha256(repr(_shape(tree)).encode()).hexdigest(), names


def _shape(node: Any) -> Any:
    """Returns a syntax tree as plain values, without places and empty fields: equal in all versions of Python."""
    if isinstance(node, ast.AST):
        fields = [(name, _shape(value)) for name, value in ast.iter_fields(node) if value is not None and value != []]
        return type(node).__name__, fields
    return [_shape(item) for item in node] if isinstance(node, list) else node


def _absolute(name: str, package: str) -> str:
    """Returns the whole name of a module that a module of `package` imports; "" if it leads out of all packages."""
    level = len(name) - len(name.lstrip("."))
    parts = package.split(".")
    if level == 0:
        return name
    if level > len(parts):
        return ""
    return ".".join([*parts[: len(parts) - level + 1], *filter(None, [name[level:]])])


def _find(module: str) -> tuple[ModuleSpec | None, Sequence[str]]:
    """Returns where a module is, and the folders of its submodules; (None, ()) if there is none.

    As Python finds it, except that the packages that hold it are not imported, which `importlib.util.find_spec` does.
    """
    if module == "__main__":  # a script's own
        file = getattr(sys.modules[module], "__file__", None)
        return (importlib.util.spec_from_file_location(module, file) if file else None), ()
    if holder := module.rpartition(".")[0]:
        return _found(_within(module, _find(holder)[1]))
    finds = (finder.find_spec(module, None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return _found(next((spec for spec in finds if spec is not None), None))


def _within(module: str, folders: Sequence[str]) -> ModuleSpec | None:
    """Returns what a package's folders have of this name: a file before folders without an `__init__.py`."""
    specs = [spec for finder in map(pkgutil.get_importer, folders) if finder and (spec := finder.find_spec(module))]
    if file := next((spec for spec in specs if spec.loader), None):
        return file
    for spec in specs[1:]:
        specs[0].submodule_search_locations += spec.submodule_search_locations or []  # type: ignore[operator]
    return specs[0] if specs else None


def _found(spec: ModuleSpec | None) -> tuple[ModuleSpec | None, Sequence[str]]:
    return spec, list(spec.submodule_search_locations or ()) if spec else ()
