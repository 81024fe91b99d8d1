"""Checkpoints as files: written whole by a thread of their own, verified when read, the last ones and the best kept.

A checkpoint is one file, `step-0000000860.npz`: a zip of arrays (`numpy.load` opens it) and of `state.json`, whose zip
comment is the SHA-256 of everything before it. Nothing in it is ever executed.

Whoever only reads uses the functions, which change no file; `Checkpoints` writes, removes and renames, for the process
that holds the run's lock.
"""

import contextlib
import hashlib
import json
import math
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
from kerasdl.errors import ResumeError
from kerasdl.files import written_whole

FORMAT = 1
_DIGEST_LENGTH = 64
_CHUNK = 2**20


@dataclass(frozen=True)
class Snapshot:
    """The whole state of a training at one step.

    Attributes:
        arrays: by name, e.g. `networks/classifier/0003/kernel`; copies, so that training may go on.
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


class OtherFormat(ResumeError):
    """A checkpoint in the format of another version of kerasdl; it is sound, and left as it is."""

    def __init__(self, path: Path, found: object):
        super().__init__(
            f"checkpoint {path} has format {found}, and this version of kerasdl reads format {FORMAT}. Use the version "
            "that wrote it, or begin a new run with resume=never."
        )


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
        Damaged: it isn't what was written; says why.
        OtherFormat: another version of kerasdl wrote it.
        OSError: it can't be read.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= _DIGEST_LENGTH:
            raise Damaged(f"it has only {size} bytes")
        file.seek(-_DIGEST_LENGTH, os.SEEK_END)
        stated = file.read(_DIGEST_LENGTH)
        if _digest(file) != stated:
            found = _unverified_values(file).get("format", FORMAT)
            if found != FORMAT:  # which may have its checksum elsewhere
                raise OtherFormat(path, found)
            raise Damaged("its checksum is wrong")
        try:
            return _read_archive(path, file)
        except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise Damaged(f"it isn't a checkpoint: {error}") from error


def newest(folder: Path) -> tuple[Snapshot | None, list[Path]]:
    """Returns the last checkpoint in a folder that is intact, or None, and the damaged ones after it.

    Warns of each one that can't be used.

    Raises:
        OtherFormat: another version of kerasdl wrote the last one that isn't damaged.
    """
    damaged: list[Path] = []
    for step in sorted(_steps(folder), reverse=True):
        path = path_of(folder, step)
        try:
            return read(path), damaged
        except (Damaged, OSError) as error:
            warn(f"checkpoint {path} can't be used ({error}); going back to the one before.")
            if isinstance(error, Damaged):  # what can't be read now may be read another time
                damaged.append(path)
    return None, damaged


def best_step(values: dict[str, Any]) -> int | None:
    """Returns the step of the checkpoint that a snapshot with these `values` takes for the best; None if for none."""
    best = values.get("best")
    return None if best is None or math.isnan(best["value"]) else best["step"]


def path_of(folder: Path, step: int) -> Path:
    """Returns where the checkpoint of a step is."""
    return folder / f"step-{step:010d}.npz"


def _steps(folder: Path) -> list[int]:
    found = (re.fullmatch(r"step-(\d+)\.npz", path.name) for path in folder.glob("step-*.npz"))
    return [int(match[1]) for match in found if match]


def _unverified_values(file: BinaryIO | Path) -> dict[str, Any]:
    """Returns what a file's `state.json` holds, checked by the zip's own checksum only; {} if there is none."""
    try:
        with zipfile.ZipFile(file) as archive:
            values = json.loads(archive.read("state.json"))
    except Exception:  # damaged bytes may be taken for anything
        return {}
    return values if isinstance(values, dict) else {}


def _read_archive(path: Path, file: BinaryIO) -> Snapshot:
    with zipfile.ZipFile(file) as archive:
        values = json.loads(archive.read("state.json"))
        if (found := values.pop("format")) != FORMAT:
            raise OtherFormat(path, found)
        dtypes = values.pop("dtypes")
        arrays = {}
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as member:
                    arrays[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    return Snapshot(arrays | {name: arrays[name].view(dtype) for name, dtype in dtypes.items()}, values)


class Checkpoints:
    """The checkpoints of a run that this process works on, and whose lock it holds.

    Args:
        folder: where they are.
        keep: how many of the last ones are kept, >= 1, each with the one that it takes for the best.
        before: called on the writing thread before a checkpoint takes its place: what it counts on must be on disk.

    Attributes:
        error: why the last one couldn't be written; None if it was.
        written: whether the last one is on disk, once `wait` has returned. Weights that aren't finite are no error, and
            aren't written.
    """

    def __init__(self, folder: Path, keep: int, before: Callable[[], None] = lambda: None):
        self.error: OSError | None = None
        self.written = False
        self._folder = folder
        self._keep = keep
        self._before = before
        self._best_of: dict[int, int | None] = {}  # the best one, as the checkpoint of a step has it
        # One at a time; an interpreter that ends by itself finishes the file first.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kerasdl-checkpoint")
        self._writing: Future | None = None

    def save(self, snapshot: Snapshot) -> None:
        """Starts to write `snapshot`; returns at once, unless the one before is still being written."""
        self.wait()
        self._writing = self._pool.submit(self._write, snapshot)

    def wait(self) -> None:
        """Returns when nothing is being written.

        Raises:
            Exception: what the last write ended with, unless it was an OSError: a state that can't be written.
        """
        if self._writing:
            writing, self._writing = self._writing, None
            writing.result()

    def newest(self) -> Snapshot | None:
        """Returns the last checkpoint that is intact, or None. Damaged ones after it are named and put aside.

        Raises:
            OtherFormat: another version of kerasdl wrote it; nothing has been changed.
        """
        self.wait()
        snapshot, damaged = newest(self._folder)
        for path in damaged:
            self._put_aside(path, "damaged")
        return snapshot

    def has(self, step: int) -> bool:
        """Returns whether there is a checkpoint of that step."""
        return path_of(self._folder, step).exists()

    def discard(self, step: int) -> None:
        """Puts the checkpoint of that step aside, under a name by which it isn't found any more."""
        self._put_aside(path_of(self._folder, step), "diverged")

    def _write(self, snapshot: Snapshot) -> None:
        self.written = False
        # A step can overflow weights and still have a finite loss; only the next one's tells.
        if not all(np.isfinite(snapshot.arrays[name]).all() for name in snapshot.finite):
            warn(f"no checkpoint at step {snapshot.step}: some weights aren't finite.")
            return
        try:
            self._before()
            write(path_of(self._folder, snapshot.step), snapshot)
        except OSError as error:
            if self.error is None:
                warn(
                    f"the checkpoint at step {snapshot.step} can't be written to {self._folder} "
                    f"({error.strerror or error}); training goes on, earlier checkpoints are intact."
                )
            self.error = error
            return
        self.error, self.written = None, True
        self._best_of[snapshot.step] = best_step(snapshot.values)
        self._prune()

    def _prune(self) -> None:
        """Removes all but the last ones and those that they take for the best: each may have to be gone back to."""
        steps = sorted(_steps(self._folder))
        last = steps[-self._keep :]
        best = {self._best(step) for step in last}
        for step in steps:
            if step not in last and step not in best:
                path_of(self._folder, step).unlink(missing_ok=True)
        for left in self._folder.glob(".step-*.tmp"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)

    def _best(self, step: int) -> int | None:
        if step not in self._best_of:  # written by an earlier process
            values = _unverified_values(path_of(self._folder, step))
            self._best_of[step] = best_step(values) if values.get("format") == FORMAT else None
        return self._best_of[step]

    def _put_aside(self, path: Path, why: str) -> None:
        """Renames a checkpoint, so that it doesn't count as one of the last."""
        with contextlib.suppress(OSError):  # in a folder that can't be written the file is skipped again next time
            path.rename(path.with_name(f"{path.name}.{why}"))


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
