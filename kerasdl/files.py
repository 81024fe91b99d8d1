"""Files that are written as a whole or not at all, and locks that are freed when their process ends."""

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

_UMASK = os.umask(0o077)  # the umask can only be read by setting it
os.umask(_UMASK)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Gives a file to write, which replaces `path` when the block ends; if the block fails, nothing is changed."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w+b") as file:
            if hasattr(os, "fchmod"):  # mkstemp's files are readable by their owner only, whatever the umask
                os.fchmod(descriptor, 0o666 & ~_UMASK)
            yield file
            file.flush()
            os.fsync(file.fileno())
        put_in_place(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def put_in_place(temporary: str | Path, path: Path) -> None:
    """Renames a synced file to `path`, such that the new name survives a loss of power."""
    os.replace(temporary, path)
    if os.name == "posix":  # elsewhere folders can't be synced
        sync(path.parent)


def sync(path: Path) -> None:
    """Flushes a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shorten(path: Path) -> str:
    """Returns `path` relative to the working directory if it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def database_uri(path: Path) -> str:
    """Returns the address of an sqlite file, with per cent signs and question marks escaped."""
    return f"sqlite:///{path.as_posix().replace('%', '%25').replace('?', '%3F')}"


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock file `path`; calls `waiting` once if another process has it.

    The lock belongs to the open file, not to the existence of the file, so the system frees it when its holder dies.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Busy(Exception):
    """Another process holds a lock.

    Attributes:
        owner: the process, e.g. `process 4711 on host gpu3`.
    """

    def __init__(self, owner: str):
        super().__init__(owner)
        self.owner = owner


class OwnedLock:
    """A lock that names its holder; the system frees it when the holder dies.

    Args:
        path: the lock file; its holder is named in `<path>.owner`.
    """

    def __init__(self, path: Path):
        self._lock = FileLock(path, thread_local=False)
        self._owner = path.with_name(path.name + ".owner")

    def acquire(self, patience: float = 0.0) -> None:
        """Takes the lock.

        Args:
            patience: seconds to wait for it.

        Raises:
            Busy: another process, or another part of this one, has it.
        """
        try:
            self._lock.acquire(timeout=patience)
        except Timeout:
            raise Busy(self._read_owner()) from None
        with written_whole(self._owner) as file:
            file.write(json.dumps({"host": socket.gethostname(), "process": os.getpid()}).encode())

    def release(self) -> None:
        """Frees the lock, if it is held."""
        if self._lock.is_locked:
            self._owner.unlink(missing_ok=True)
            self._lock.release()

    def _read_owner(self) -> str:
        try:
            owner = json.loads(self._owner.read_bytes())
            return f"process {owner['process']} on host {owner['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"  # it has the lock and hasn't written its name yet
