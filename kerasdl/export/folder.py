"""A directory that appears whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from kerasdl.errors import UserError
from kerasdl.files import sync


def check_replaceable(path: Path, known: Collection[str]) -> None:
    """Raises UserError if a directory has something that an export doesn't make: it would be lost with the rest.

    Args:
        path: may be missing.
        known: names of files and folders of an export.
    """
    strange = sorted(entry.name for entry in path.iterdir() if entry.name not in known) if path.is_dir() else []
    if strange:
        raise UserError(
            f"output: '{path}' has '{strange[0]}', which no export makes, and overwrite=true replaces the whole "
            "directory. Name another directory, or move it away."
        )


@contextmanager
def whole_directory(path: Path, overwrite: bool) -> Iterator[Path]:
    """Gives a new directory that takes `path`'s place when the block ends, and leaves nothing if it fails.

    Args:
        path: where it shall be; missing, or an empty directory.
        overwrite: whether a directory with files may be there, too, which is replaced.

    Raises:
        UserError: it can't be written there.
    """
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    try:
        new = workshop / "new"  # with usual permissions, unlike the workshop
        new.mkdir()
        yield new
        for file in (*new.rglob("*"), new):
            if os.name == "posix" or file.is_file():
                sync(file)
        with _write_errors(path):
            _put_in_place(new, path, workshop / "old" if overwrite else None)
    finally:
        shutil.rmtree(workshop)


def _put_in_place(new: Path, path: Path, old: Path | None) -> None:
    """Renames `new` to `path`; what is there goes to `old`, unless that is None: then only an empty one gives way."""
    if old is None or not path.exists():
        if path.exists():
            path.rmdir()
        new.rename(path)
        return
    path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        old.rename(path)
        raise


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"output: '{path}' can't be written: {error.strerror}. Name another directory.") from error
