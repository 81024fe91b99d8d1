"""The pictures in a folder: recursively, in the order of their names, the hidden ones left out."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

from PIL import Image

from kerasdl.images.decoding import reason

# Formats whose suffixes Pillow knows and whose pixels it can't read.
_UNREADABLE = {"BUFR", "GRIB", "HDF5", "MPEG", "PALM", "PDF"}
_MAX_SUFFIXES = 4


@cache
def suffixes() -> frozenset[str]:
    """Returns the suffixes, such as `.png`, of the files that count as pictures: Pillow's, and `.npy`."""
    known = Image.registered_extensions()
    return frozenset({suffix for suffix, format in known.items() if format not in _UNREADABLE} | {".npy"})


def pictures_in(folder: str, note: Callable[[str], None]) -> Iterator[tuple[str, str | None]]:
    """Finds the pictures in a folder and its subfolders; links to folders are not followed.

    Args:
        folder: its path.
        note: receives a line, at the end, on the number of other files, if any.

    Yields:
        A picture's path and None; or the path of a folder and why it has none.
    """
    others: Counter[str] = Counter()
    found = False
    for path, error in _walk(folder, others):
        yield path, error
        found = True
    if not found:
        yield folder, "a folder without pictures"
    if others:
        kinds = [suffix or "no suffix" for suffix, _ in others.most_common(_MAX_SUFFIXES)]
        more = ", ..." if len(others) > _MAX_SUFFIXES else ""
        note(f"{folder}: other files left out: {others.total():,} ({', '.join(kinds)}{more})")


def _walk(folder: str, others: Counter[str]) -> Iterator[tuple[str, str | None]]:
    try:
        with os.scandir(folder) as entries:
            known = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        yield folder, reason(error)
        return
    for entry in known:
        suffix = os.path.splitext(entry.name)[1].lower()
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, others)
        elif suffix in suffixes() and (entry.is_file() or (entry.is_symlink() and not entry.is_dir())):
            yield entry.path, None  # a broken link counts as a picture that can't be read
        else:
            others[suffix] += 1
