"""Reads single numbers from CSV and `.npy` files, standard input, data frames, dicts and arrays, one row at a time.

Columns are matched to the features by name. Mistakes in a header are reported before any row is read; a row with a cell
that isn't a number becomes an `Item` with an error, and the other rows are read.
"""

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

import numpy as np

from kerasdl import images
from kerasdl.errors import DataError

STDIN = "-"
_NPY_MAGIC = b"\x93NUMPY"
_MAX_NAMED = 10

Note = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Item:
    """A row as the network takes it, or why it can't be used.

    Attributes:
        name: for people: `patients.csv:17` (the line of the file), `patients.npy[15]`, `inputs[15]`, `-:17`.
        values: float32 by the names of the features; None if there is an error.
        error: the reason, in a few words; None if there are values.
    """

    name: str
    values: Mapping[str, np.float32] | None = None
    error: str | None = None


def read(
    inputs: Any, names: Sequence[str], *, stdin: BinaryIO | None = None, note: Note | None = None
) -> Iterator[Item]:
    """Returns the rows of a table, in order, each read when it is asked for.

    Args:
        inputs: text as given to `input=` (names and patterns of `.csv` and `.npy` files, separated by commas; `-`), a
            path, or several of these; a DataFrame or a mapping with an array (n,) for each feature; an array (n,
            features), whose columns are in the order of `names`. So are `.npy` files.
        names: of the features, in the order of the model's signature.
        stdin: what `-` reads, CSV or `.npy`; the process's standard input by default.
        note: receives a line on columns that are ignored.

    Raises:
        DataError: a file doesn't exist or can't be read, a column is missing, or an array has another shape.
    """
    if isinstance(inputs, Mapping) or hasattr(inputs, "columns"):
        return _of_columns(inputs, names, note)
    if isinstance(inputs, np.ndarray):
        return _of_array(inputs, "inputs", names)
    if isinstance(inputs, str):
        inputs = _files(images.named(inputs))
    elif isinstance(inputs, os.PathLike):
        inputs = [inputs]
    if not isinstance(inputs, Iterable):
        raise DataError(
            f"inputs must be a file's name, a DataFrame, or arrays by name. Received: {type(inputs).__name__}."
        )
    tables = [_of_stdin(stdin, names, note) if str(each) == STDIN else _of_file(each, names, note) for each in inputs]
    return (item for table in tables for item in table)


def _files(entries: Sequence[str]) -> list[str]:
    """Returns what the entries name, patterns expanded."""
    import glob

    found: list[str] = []
    for entry in entries:
        path = os.path.expanduser(entry)
        is_name = entry == STDIN or os.path.lexists(path)
        found += [path] if is_name else sorted(glob.glob(path, recursive=True))
    return found


def _of_file(path: str | os.PathLike[str], names: Sequence[str], note: Note | None) -> Iterator[Item]:
    name = os.fspath(path)
    if os.path.isdir(path):
        raise DataError(f"input: '{name}' is a folder. The model takes numbers: name a .csv or .npy file.")
    try:
        if name.lower().endswith(".npy"):
            return _of_array(np.lib.format.open_memmap(name, mode="r"), name, names)
        with _opened(name) as file:
            _header(csv.reader(file), name, names, note)
    except (OSError, ValueError) as error:
        raise DataError(f"input: '{name}' can't be read ({getattr(error, 'strerror', None) or error}).") from error
    return _of_csv(name, names)


def _opened(path: str) -> TextIO:
    # Bytes that aren't UTF-8 are replaced, so that the cell is reported as not a number.
    return open(path, newline="", encoding="utf-8-sig", errors="replace")


def _of_stdin(stdin: BinaryIO | None, names: Sequence[str], note: Note | None) -> Iterator[Item]:
    stream = stdin or sys.stdin.buffer
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    if buffered.peek(len(_NPY_MAGIC)).startswith(_NPY_MAGIC):
        try:
            array = np.lib.format.read_array(io.BytesIO(buffered.read()), allow_pickle=False)
        except ValueError as error:
            raise DataError(f"input: the .npy file on standard input can't be read ({error}).") from error
        return _of_array(array, STDIN, names)
    text = io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="replace", newline="")
    lines = csv.reader(text)
    return _rows(lines, STDIN, *_header(lines, STDIN, names, note))


def _header(lines: Any, name: str, names: Sequence[str], note: Note | None) -> tuple[int, dict[str, int]]:
    """Reads the first line; returns the number of columns, and the positions of the features' columns."""
    try:
        header = [cell.strip() for cell in next(lines, [])]
    except csv.Error as error:
        raise DataError(f"input: the first line of {name} can't be read ({error}).") from error
    if any("\0" in cell or "\ufffd" in cell for cell in header):
        raise DataError(f"input: '{name}' is not a CSV file. The model takes numbers: name a .csv or .npy file.")
    _check_columns(header, name, names, note)
    return len(header), {each: header.index(each) for each in names}


def _of_csv(path: str, names: Sequence[str]) -> Iterator[Item]:
    with _opened(path) as file:
        lines = csv.reader(file)
        yield from _rows(lines, path, *_header(lines, path, names, None))


def _rows(lines: Any, name: str, columns: int, places: Mapping[str, int]) -> Iterator[Item]:
    while True:
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield Item(f"{name}:{lines.line_num}", error=str(error))
            continue
        where = f"{name}:{lines.line_num}"
        if cells and len(cells) != columns:
            yield Item(where, error=f"it has {len(cells)} cells, but the first line has {columns}")
        elif cells:  # empty lines are skipped
            yield _item(where, {each: cells[place] for each, place in places.items()})


def _of_columns(table: Any, names: Sequence[str], note: Note | None) -> Iterator[Item]:
    _check_columns([str(name) for name in table], "inputs", names, note)
    columns = {name: np.asarray(table[name]) for name in names}
    sizes = {name: column.shape for name, column in columns.items()}
    if len(set(sizes.values())) > 1 or any(len(shape) != 1 for shape in sizes.values()):
        raise DataError(f"inputs must have an array (n,) for each feature, all of one length. Received: {sizes}.")
    count = len(next(iter(columns.values())))
    return (_item(f"inputs[{row}]", {name: column[row] for name, column in columns.items()}) for row in range(count))


def _of_array(array: np.ndarray, name: str, names: Sequence[str]) -> Iterator[Item]:
    if array.ndim != 2 or array.shape[1] != len(names) or array.dtype.kind not in "fiub":
        raise DataError(
            f"input: an array must be numbers (n, {len(names)}), with the columns {_listed(names)}. Received: {name} "
            f"with {array.dtype} {array.shape}."
        )
    return (_item(f"{name}[{row}]", dict(zip(names, values, strict=True))) for row, values in enumerate(array))


def _check_columns(header: Sequence[str], where: str, names: Sequence[str], note: Note | None) -> None:
    if missing := [name for name in names if name not in header]:
        raise DataError(
            f"input: {where} must have a column for each feature: {', '.join(names)}. Missing: {', '.join(missing)}. "
            f"Received: {_listed(header) or 'no columns'}.{_hint(header)}"
        )
    if twice := [name for name in names if list(header).count(name) > 1]:
        raise DataError(f"input: {where} has two columns {twice[0]!r}. Remove one.")
    if note and (others := [name for name in header if name not in names]):
        note(f"{where}: columns that aren't features are ignored: {_listed(others)}")


def _hint(header: Sequence[str]) -> str:
    return " Columns are separated by commas." if len(header) == 1 and ";" in header[0] else ""


def _item(name: str, cells: Mapping[str, Any]) -> Item:
    values: dict[str, np.float32] = {}
    for feature, cell in cells.items():
        try:
            with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite, and is refused
                values[feature] = np.float32(float(cell))
        except (TypeError, ValueError):
            return Item(name, error=_not_a_number(feature, cell))
        if not np.isfinite(values[feature]):
            return Item(name, error=_not_a_number(feature, cell))
    return Item(name, values)


def _not_a_number(feature: str, cell: Any) -> str:
    if isinstance(cell, str) and not cell.strip():
        return f"{feature} is empty"
    return f"{feature} must be a finite number, but is {str(cell)!r}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MAX_NAMED]) + (f", ... ({len(names)})" if len(names) > _MAX_NAMED else "")
