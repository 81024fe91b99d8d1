"""The way to MLflow on disk: everything that a run reports, in order, until it has been sent and long after.

Training appends an entry and goes on; whoever sends reads from the same file, and `sent` says how far that has come.
A process may be killed between any two instructions: what was appended is in the system's hands, a line that was cut
short is found by its checksum, and sending an entry twice is harmless (`kerasdl.tracking.sender`). What the entries
mean is the business of `kerasdl.tracking.entries`.
"""

import contextlib
import errno
import json
import os
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kerasdl.console import warn
from kerasdl.files import written_whole
from kerasdl.tracking import aside
from kerasdl.tracking.aside import Aside

Entry = dict[str, Any]

_BLOCK = 2**16


class Read(NamedTuple):
    """An entry as it stands in the journal, between the offsets `begin` and `end`, in bytes."""

    entry: Entry
    begin: int
    end: int


class Journal:
    """An append-only file of entries, opened for writing; one process at a time, any of its threads.

    Each entry is a line: CRC-32 as eight hexadecimal digits, a space, JSON (with Python's NaN and Infinity).

    Args:
        folder: holds the files `journal`, `sent` and `aside`; it exists.

    Attributes:
        aside: which entries wait apart.

    Raises:
        OSError: the files can't be made or opened.
    """

    def __init__(self, folder: Path):
        self.path = folder / "journal"
        self._sent_path = folder / "sent"
        if not self.path.exists():
            with written_whole(self.path):
                pass  # empty, but sure to be there after a loss of power
        self._file = self.path.open("r+b", buffering=0)
        self._sent_path.touch()
        self._sent_file = self._sent_path.open("r+b", buffering=0)
        self._lock = threading.Lock()
        self._kept: deque[bytes] = deque()
        self._disk_error: OSError | None = None  # the last one
        self._damaged: set[int] = set()
        self._end = self._synced = _cut_torn_line(self._file)
        self._sent = _valid_offset(_read_sent(self._sent_path), self.path)
        self.aside = Aside(folder)

    @property
    def sent(self) -> int:
        """The offset up to which everything has been sent, in bytes."""
        return self._sent

    @property
    def end(self) -> int:
        """The offset behind the last entry on disk, in bytes."""
        return self._end

    @property
    def kept(self) -> int:
        """The number of entries that wait in memory, because the disk takes no more."""
        return len(self._kept)

    def append(self, entry: Entry) -> None:
        """Writes `entry` to the operating system, which takes microseconds; not yet to the disk itself.

        A full disk stops nobody: entries then wait in memory for a later `append` or `flush`, and a line says so once.
        """
        text = json.dumps(entry, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        with self._lock:
            self._kept.append(line)
            self._write_kept()

    def flush(self) -> bool:
        """Writes what waits in memory, if the disk takes it again; returns whether nothing waits any more."""
        with self._lock:
            self._write_kept()
            return not self._kept

    def sync(self) -> None:
        """Returns when all entries are on the disk itself and would survive a loss of power.

        Raises:
            OSError: the disk is full or broken, and entries are only in memory.
        """
        everything_is_written = self.flush()
        self._sync_file()
        if not everything_is_written and self._disk_error:
            raise self._disk_error

    def unsent(self) -> tuple[int, Iterator[Read]]:
        """Returns the offset behind what has been appended by now, and what of it is to be sent, read one by one.

        All of it is on the disk itself by then, so that MLflow never knows a point that the journal has lost.

        Raises:
            OSError: the disk is broken.
        """
        self.flush()
        end = self._sync_file()
        return end, self._read(self._sent, end)

    def entries(self) -> Iterator[Entry]:
        """Yields every entry ever appended, sent or not."""
        for read in self._read(0, self._end):
            yield read.entry

    def set_aside(self) -> Iterator[Read]:
        """Yields the entries that wait apart, in the order in which they were appended."""
        for begin in self.aside.begins():
            yield from self._read(begin, min(begin + 1, self._end))

    def sent_after(self, read: Read) -> Iterator[Entry]:
        """Yields the entries that were appended after another one and have been sent."""
        yield from (later.entry for later in self._read(read.end, self._sent) if later.begin not in self.aside)

    def waiting(self) -> Iterator[Entry]:
        """Yields the entries that the store doesn't have: those that wait apart, and those that haven't been sent."""
        for read in (*self.set_aside(), *self.unsent()[1]):
            yield read.entry

    def mark_sent(self, offset: int) -> None:
        """Notes that everything before `offset` has been sent.

        A full disk or a loss of power may forget it, which costs no more than sending the same again.
        """
        self._sent = offset
        with contextlib.suppress(OSError):
            os.pwrite(self._sent_file.fileno(), _SENT_FORMAT % offset, 0)

    def take_kept(self) -> list[Entry]:
        """Returns what the disk didn't take, and forgets it: for the very end, when there is no later."""
        with self._lock:
            kept = [json.loads(line[9:]) for line in self._kept]
            self._kept.clear()
        return kept

    def count_unsent(self) -> int:
        """Returns the number of entries that haven't been sent, or wait apart."""
        with open(self.path, "rb") as file:
            file.seek(self._sent)
            on_disk = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
        return on_disk + len(self._kept) + len(self.aside)

    def close(self) -> None:
        """Closes the files; nothing may be appended or sent afterwards."""
        self._file.close()
        self._sent_file.close()

    def _sync_file(self) -> int:
        """Brings what is written to the disk itself, and returns how much that is.

        Not under the lock, which training would have to wait for.
        """
        end = self._end
        if end > self._synced:
            os.fsync(self._file.fileno())
            self._synced = end
        return end

    def _write_kept(self) -> None:
        """Writes waiting lines until the disk takes no more.

        Each goes to the offset behind the last whole line: what an earlier try left there, a piece that a full disk
        took or a line whose writing was interrupted, is written over.
        """
        while self._kept:
            line = self._kept[0]
            try:
                written = os.pwrite(self._file.fileno(), line, self._end)
                if written < len(line):  # the rest doesn't fit, and the next try will say why
                    os.ftruncate(self._file.fileno(), self._end)
                    written = os.pwrite(self._file.fileno(), line, self._end)
                if written < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                with contextlib.suppress(OSError):  # what stays is written over, or cut when the journal is opened
                    os.ftruncate(self._file.fileno(), self._end)
                self._say_once(error)
                return
            self._end += written
            self._kept.popleft()

    def _say_once(self, error: OSError) -> None:
        if self._disk_error is None:
            warn(
                f"{self.path} can't be written ({error.strerror or error}); metrics wait in memory until there is "
                "space again. Make room."
            )
        self._disk_error = error

    def _read(self, start: int, end: int) -> Iterator[Read]:
        """Yields the entries between two offsets; leaves out damaged lines, saying so once for each."""
        with open(self.path, "rb") as file:
            file.seek(start)
            while start < end:
                line = file.readline()
                start, begin = start + len(line), start
                entry = _parse(line)
                if entry is not None:
                    yield Read(entry, begin, start)
                elif begin not in self._damaged:
                    self._damaged.add(begin)
                    warn(f"{self.path}: the line at byte {begin} is damaged and was left out ({len(line)} bytes).")


_SENT_FORMAT = b"%020d\n"


def has_unsent(folder: Path) -> bool:
    """Returns whether the journal in `folder`, if there is one, has anything that waits to be sent; opens nothing."""
    path = folder / "journal"
    try:
        size = path.stat().st_size
        sent = _valid_offset(_read_sent(folder / "sent"), path)
        return sent < size or any(begin < size for begin in aside.read(folder))
    except FileNotFoundError:
        return False


def _read_sent(path: Path) -> int:
    """Returns the offset in a `sent` file; 0, which sends everything again, if it holds none."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return 0
    return int(text) if len(text) == len(_SENT_FORMAT % 0) and text[:-1].isdigit() else 0


def _valid_offset(offset: int, path: Path) -> int:
    """Returns `offset` if a line of the journal ends there, else 0."""
    if offset == 0:
        return 0
    with open(path, "rb") as file:
        file.seek(offset - 1)
        return offset if file.read(1) == b"\n" else 0


def _parse(line: bytes) -> Entry | None:
    """Returns the entry in a line; None if its checksum is wrong."""
    text = line[9:-1]
    if line[:9] != b"%08x " % zlib.crc32(text) or line[-1:] != b"\n":
        return None
    return json.loads(text)


def _cut_torn_line(file: Any) -> int:
    """Cuts what follows the last line break, which a kill or a loss of power left; returns the length that remains."""
    end = file.seek(0, os.SEEK_END)
    start = end
    while start > 0:
        start = max(start - _BLOCK, 0)
        file.seek(start)
        line_break = file.read(_BLOCK).rfind(b"\n")
        if line_break >= 0:
            start += line_break + 1
            break
    if start < end:
        file.truncate(start)
    return start
