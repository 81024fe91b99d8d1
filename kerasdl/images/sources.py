"""Finds what `input=` names: files, folders, patterns, arrays, standard input; in order, without decoding anything.

Pictures are found when they are asked for. In memory are the names of one folder or pattern, or one line of a list on
standard input. `kerasdl.images.decoding` decodes the pictures.
"""

import csv
import glob
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from kerasdl.errors import DataError
from kerasdl.images.decoding import reason
from kerasdl.images.folders import pictures_in

Input = str | os.PathLike[str] | np.ndarray | Image.Image

STDIN = "-"
_NPY = ".npy"
_NPY_MAGIC = b"\x93NUMPY"
_ARRAYS = "uint8 [n, h, w], [n, h, w, c], [h, w] or [h, w, c]"


@dataclass(frozen=True, eq=False)
class Source:
    """A picture that hasn't been read yet.

    Attributes:
        name: for people: a path, `digits.npy[12]`, `inputs[3]`, `-`.
        content: what `kerasdl.images.decoding.pixels` takes; None if there is an error.
        error: why it can't be read, in a few words; None if it can.
    """

    name: str
    content: Path | bytes | np.ndarray | Image.Image | None = None
    error: str | None = None


def named(text: str) -> list[str]:
    """Returns what `input=TEXT` lists: files, folders, patterns and `-`.

    Names are separated by commas. A name with a comma is given alone, or in double quotes, in which `""` is a quote.

    Raises:
        DataError: a file doesn't exist, or a pattern matches nothing.
    """
    try:
        entries = [text] if os.path.lexists(text) else next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise DataError(
            f'input must be names separated by commas; put a name with a comma in "". Received: {text}'
        ) from error
    for entry in entries:
        if entry == STDIN or os.path.lexists(os.path.expanduser(entry)):
            continue
        if not glob.has_magic(entry):
            raise DataError(f"input must name files, folders, patterns or -. There is no '{entry}'.")
        if next(_matches(entry), None) is None:
            raise DataError(f"input: nothing matches '{entry}'. ** stands for folders at any depth.")
    return entries


def sources(
    inputs: Input | Iterable[Input], stdin: BinaryIO | None = None, note: Callable[[str], None] | None = None
) -> Iterator[Source]:
    """Returns the pictures that `inputs` name, in order, each found when it is asked for.

    Args:
        inputs: text as given to `input=` (see `named`), a path, an array, a Pillow image; or several: paths, patterns,
            arrays, images. Arrays are uint8 [h, w], [h, w, c], [n, h, w] or [n, h, w, c]; three axes are one picture
            if the last has 1 to 4 entries, else n grey ones. So are `.npy` files, which are memory-mapped.
        stdin: what `-` reads; the process's standard input by default. It is one picture or `.npy` file, or a list
            of files' names, one a line.
        note: receives a line on files of a folder that are left out.

    Raises:
        DataError: `inputs` is a text that names a file that doesn't exist. Other errors are in a `Source`.
    """
    if isinstance(inputs, str):
        inputs = named(inputs)
    if isinstance(inputs, os.PathLike | np.ndarray | Image.Image):
        return _expanded(inputs, "inputs", stdin, note)
    return (
        source
        for position, entry in enumerate(inputs)
        for source in _expanded(entry, f"inputs[{position}]", stdin, note)
    )


def _expanded(entry: Input, name: str, stdin: BinaryIO | None, note: Callable[[str], None] | None) -> Iterator[Source]:
    if isinstance(entry, np.ndarray):
        yield from _of_array(entry, name)
    elif isinstance(entry, Image.Image):
        yield _of_image(entry, str(getattr(entry, "filename", "")) or name)
    elif entry == STDIN:
        yield from _of_stdin(stdin or sys.stdin.buffer)
    else:
        path = os.path.expanduser(entry)
        if isinstance(entry, str) and glob.has_magic(entry) and not os.path.lexists(path):
            yield from _of_pattern(entry, note)
        elif os.path.isdir(path):
            yield from _of_folder(path, note)
        else:
            yield from _of_file(path)


def _of_file(path: str) -> Iterator[Source]:
    if not path.lower().endswith(_NPY):
        yield Source(path, Path(path))
        return
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a broken file can cause many kinds, as with Pillow
        yield Source(path, error=reason(error))
        return
    yield from _of_array(array, path)


def _of_folder(path: str, note: Callable[[str], None] | None) -> Iterator[Source]:
    for found, error in pictures_in(path, note or (lambda line: None)):
        if error is None:
            yield from _of_file(found)
        else:
            yield Source(found, error=error)


def _of_pattern(pattern: str, note: Callable[[str], None] | None) -> Iterator[Source]:
    """Yields the files that match; a folder that matches is read, unless `**` already matches its files."""
    deep, found = "**" in pattern, False
    for path in sorted(_matches(pattern)):
        if not os.path.isdir(path):
            yield from _of_file(path)
        elif deep:
            continue
        else:
            yield from _of_folder(path, note)
        found = True
    if not found:
        yield Source(pattern, error="no file matches")


def _matches(pattern: str) -> Iterator[str]:
    return glob.iglob(os.path.expanduser(pattern), recursive=True)


def _of_array(array: np.ndarray, name: str) -> Iterator[Source]:
    has_channels = array.ndim > 2 and 1 <= array.shape[-1] <= 4
    one = array.ndim == 2 or (array.ndim == 3 and has_channels)
    many = (array.ndim == 3 and not has_channels) or (array.ndim == 4 and has_channels)
    if array.dtype != np.uint8 or not (one or many):
        yield Source(name, error=f"an array must be {_ARRAYS}, but is {array.dtype} {list(array.shape)}")
    elif 0 in array.shape:
        yield Source(name, error=f"an array of no pictures: {list(array.shape)}")
    elif one:
        yield Source(name, array)
    else:
        for index in range(len(array)):
            yield Source(f"{name}[{index}]", array[index])


def _of_image(image: Image.Image, name: str) -> Source:
    try:
        image.load()  # not in a thread: two threads can't read one image that was given twice
    except Exception as error:  # see `decoding`
        return Source(name, error=reason(error))
    return Source(name, image)


def _of_stdin(stdin: BinaryIO) -> Iterator[Source]:
    stream = stdin if isinstance(stdin, io.BufferedReader) else io.BufferedReader(stdin)  # type: ignore[type-var]
    head = stream.peek(512)
    if not head:
        yield Source(STDIN, error="nothing came on standard input")
    elif head.startswith(_NPY_MAGIC):
        try:
            array = np.lib.format.read_array(io.BytesIO(stream.read()), allow_pickle=False)
        except Exception as error:  # see `_of_file`
            yield Source(STDIN, error=reason(error))
            return
        yield from _of_array(array, STDIN)
    elif _is_picture(head):
        yield Source(STDIN, stream.read())
    else:
        for line in stream:
            name = os.fsdecode(line.rstrip(b"\r\n"))
            if name:
                yield from _of_file(name)


def _is_picture(head: bytes) -> bool:
    """Returns whether content with this beginning is a picture, rather than a list of names, whose first exists."""
    if b"\0" in head:
        return True
    if os.path.lexists(head.splitlines()[0]):
        return False
    Image.init()
    prefix = head[:16].ljust(16)
    return any(accept is not None and accept(prefix) for _, accept in Image.OPEN.values())
