"""Checkpoints as files: written whole by a thread of their own, verified when read, the last ones and the best kept.

A checkpoint is one file, `step-0000000860.npz`: a zip of arrays (`numpy.load` opens it) and of `state.json`, whose zip
comment is the SHA-256 of everything before it. Nothing in it is ever executed.
"""

import contextlib
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes  # noqa: F401  comes with Keras; tells numpy what bfloat16 is
import numpy as np

from kerasdl.console import warn
from kerasdl.files import written_whole

FORMAT = 1
_DIGEST_LENGTH = 64
_CHUNK = 2**20


@dataclass(frozen=True)
class Snapshot:
    """The whole state of a training at one step.

    Attributes:
        arrays: by name, e.g. `model/0003/kernel`; copies, so that training may go on.
        values: what JSON can hold: position (`step` among it), metrics, callbacks' counters.
        finite: names of the arrays that must be finite for the state to be worth keeping.
    """

    arrays: dict[str, np.ndarray]
    values: dict[str, Any]
    finite: tuple[str, ...] = ()

    @property
    def step(self) -> int:
        """Training steps that are done."""
        return self.values["step"]


class Damaged(Exception):
    """A checkpoint whose bytes aren't those that were written."""


def write(path: Path, snapshot: Snapshot) -> None:
    """Writes a checkpoint, whole or not at all."""
    with written_whole(path) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            dtypes = {name: array.dtype.name for name, array in snapshot.arrays.items() if _is_lost(array.dtype)}
            archive.writestr("state.json", json.dumps({"format": FORMAT, "dtypes": dtypes, **snapshot.values}))
            for name, array in snapshot.arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
            archive.comment = bytes(_DIGEST_LENGTH)
        digest = _digest(file)
        file.seek(-_DIGEST_LENGTH, os.SEEK_END)
        file.write(digest)


def read(path: Path) -> Snapshot:
    """Reads a checkpoint back.

    Raises:
        Damaged: it isn't what was written, or was written by another version of the format; says which.
        OSError: it can't be read.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= _DIGEST_LENGTH:
            raise Damaged(f"it has only {size} bytes")
        file.seek(-_DIGEST_LENGTH, os.SEEK_END)
        stated = file.read(_DIGEST_LENGTH)
        if _digest(file) != stated:
            raise Damaged("its checksum is wrong")
        try:
            return _read_archive(file)
        except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise Damaged(f"it isn't a checkpoint: {error}") from error


def _read_archive(file: BinaryIO) -> Snapshot:
    with zipfile.ZipFile(file) as archive:
        values = json.loads(archive.read("state.json"))
        if values.pop("format") != FORMAT:
            raise Damaged("it was written by another version of kerasdl")
        dtypes = values.pop("dtypes")
        arrays = {}
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as member:
                    arrays[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    return Snapshot(arrays | {name: arrays[name].view(dtype) for name, dtype in dtypes.items()}, values)


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are.
        keep: how many of the last ones are kept, >= 1.
        before: called on the writing thread before a checkpoint takes its place: what it counts on must be on disk.

    Attributes:
        error: why the last one couldn't be written; None if it was.
    """

    def __init__(self, folder: Path, keep: int, before: Callable[[], None] = lambda: None):
        self.error: OSError | None = None
        self._folder = folder
        self._keep = keep
        self._before = before
        # One at a time; an interpreter that ends by itself finishes the file first.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kerasdl-checkpoint")
        self._writing: Future | None = None

    def save(self, snapshot: Snapshot, best_step: int | None) -> None:
        """Starts to write `snapshot`; returns at once, unless the one before is still being written.

        Args:
            snapshot: the state.
            best_step: the step of the best checkpoint, which is kept; None if there is none.
        """
        self.wait()
        self._writing = self._pool.submit(self._write, snapshot, best_step)

    def wait(self) -> None:
        """Returns when nothing is being written.

        Raises:
            Exception: what the last write ended with, unless it was an OSError: a state that can't be written.
        """
        if self._writing:
            writing, self._writing = self._writing, None
            writing.result()

    def newest(self) -> Snapshot | None:
        """Returns the last checkpoint that is intact; None if there is none. Names those that are not."""
        self.wait()
        for step in sorted(self._steps(), reverse=True):
            path = self._path(step)
            try:
                return read(path)
            except (Damaged, OSError) as error:
                warn(f"checkpoint {path} can't be used ({error}); going back to the one before.")
                if isinstance(error, Damaged):  # what can't be read now may be read another time
                    self._put_aside(path, "damaged")
        return None

    def at(self, step: int) -> Snapshot:
        """Returns the checkpoint of that step; raises as `read` does."""
        return read(self._path(step))

    def discard(self, step: int) -> None:
        """Puts the checkpoint of that step aside, under a name by which it isn't found any more."""
        self._put_aside(self._path(step), "diverged")

    def _write(self, snapshot: Snapshot, best_step: int | None) -> None:
        # A step can overflow weights and still have a finite loss; only the next one's tells.
        if not all(np.isfinite(snapshot.arrays[name]).all() for name in snapshot.finite):
            warn(f"no checkpoint at step {snapshot.step}: some weights aren't finite.")
            return
        try:
            self._before()
            write(self._path(snapshot.step), snapshot)
        except OSError as error:
            if self.error is None:
                warn(
                    f"the checkpoint at step {snapshot.step} can't be written to {self._folder} "
                    f"({error.strerror or error}); training goes on, earlier checkpoints are intact."
                )
            self.error = error
            return
        self.error = None
        self._prune(best_step)

    def _prune(self, best_step: int | None) -> None:
        steps = sorted(self._steps())
        for step in steps[: -self._keep]:
            if step != best_step:
                self._path(step).unlink(missing_ok=True)
        for left in self._folder.glob(".step-*.tmp"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)

    def _put_aside(self, path: Path, why: str) -> None:
        """Renames a checkpoint, so that it doesn't count as one of the last."""
        with contextlib.suppress(OSError):  # in a folder that can't be written the file is skipped again next time
            path.rename(path.with_name(f"{path.name}.{why}"))

    def _steps(self) -> list[int]:
        found = (re.fullmatch(r"step-(\d+)\.npz", path.name) for path in self._folder.glob("step-*.npz"))
        return [int(match[1]) for match in found if match]

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:010d}.npz"


def _is_lost(dtype: np.dtype) -> bool:
    """Returns whether numpy's format forgets `dtype`: it writes bfloat16 as bytes without a meaning."""
    return np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(dtype)) != dtype


def _digest(file: BinaryIO) -> bytes:
    """Returns the SHA-256 of all but the digest's own place at the end, in hexadecimal."""
    remaining = file.seek(0, os.SEEK_END) - _DIGEST_LENGTH
    file.seek(0)
    digest = hashlib.sha256()
    while remaining:
        chunk = file.read(min(_CHUNK, remaining))
        digest.update(chunk)
        remaining -= len(chunk)
    return digest.hexdigest().encode()
