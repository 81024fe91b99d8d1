"""A run's folder, `<paths.output_dir>/runs/<name>`: everything from which it can be resumed, however it ended.

    run.json      its configuration, its status, its place in MLflow (`Record`)
    checkpoints/  its states (`kerasdl.training.checkpoints`)
    tracking/     the entries for MLflow, in order (`kerasdl.tracking.journal`)
    lock          held by the process that uses it

It is created before the run in MLflow, and also without MLflow. Once there is a `run_id`, both names mean the same run.
"""

import contextlib
import dataclasses
import json
import secrets
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kerasdl.errors import ResumeError
from kerasdl.files import Busy, OwnedLock, database_uri, written_whole

FINISHED = "FINISHED"


@dataclass(frozen=True)
class Record:
    """The content of `run.json`.

    Attributes:
        config: the whole configuration, resolved, as plain containers.
        config_hash: identifies everything that decides the result (`kerasdl.config.identity`).
        status: `RUNNING`, `FINISHED`, `FAILED`, `KILLED` or `PRUNED`; `RUNNING` also after a forced kill.
        created: local time, ISO 8601 with microseconds.
        run_id: MLflow's run id; None until MLflow has the run, and without MLflow.
        tracking_uri: the store that has the run, without a password; None without MLflow. `RunFolder.tracking_uri` says
            where it is now.
        experiment: MLflow's experiment, by name; None without MLflow.
        metrics: of its model (`kerasdl.experiment.Result`), and its number of parameters, once the run has ended.
        environment: versions, device and threads that the promise of equal bits depends on.
        sources: digests of the source of the user's own code, by the keys of the nodes that name it; empty for a run
            of a version that didn't record them.
        fitted: what was fitted on the training split before training (`kerasdl.data.preprocessing.to_json`).
    """

    config: dict[str, Any]
    config_hash: str
    status: str
    created: str
    run_id: str | None = None
    tracking_uri: str | None = None
    experiment: str | None = None
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    sources: dict[str, str] = dataclasses.field(default_factory=dict)
    fitted: dict[str, Any] = dataclasses.field(default_factory=dict)


class RunFolder:
    """One run's folder.

    Args:
        path: the folder.
        record: what its `run.json` says.
    """

    def __init__(self, path: Path, record: Record):
        self.path = path
        self._record = record
        self._writing = threading.Lock()
        self._lock = OwnedLock(path / "lock")

    @classmethod
    def new(
        cls,
        output_dir: str | Path,
        config: dict[str, Any],
        config_hash: str,
        name: str | None = None,
        sources: dict[str, str] | None = None,
    ) -> "RunFolder":
        """Names the folder of a new run, by `name` or else by the time; `create` creates it."""
        now = datetime.now()
        name = name or f"{now.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        created = now.isoformat(timespec="microseconds")
        record = Record(config, config_hash, "RUNNING", created, sources=sources or {})
        return cls(_runs(output_dir) / name, record)

    def create(self) -> None:
        """Creates the folder and takes its lock."""
        for folder in (self.checkpoints, self.tracking):
            folder.mkdir(parents=True, exist_ok=True)
        self.lock()
        self.update()  # last: a folder without run.json isn't a run yet

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Opens the folder of a run.

        Raises:
            ResumeError: `run.json` is missing or damaged.
        """
        return cls(path, _read(path / "run.json"))

    @property
    def name(self) -> str:
        """The run's name on this machine."""
        return self.path.name

    @property
    def id(self) -> str:
        """What `resume=` takes: MLflow's run id if there is one, else the name."""
        return self._record.run_id or self.name

    @property
    def record(self) -> Record:
        return self._record

    @property
    def output_dir(self) -> Path:
        """The output directory that the folder is in now."""
        return self.path.parent.parent

    @property
    def tracking_uri(self) -> str | None:
        """The store that has the run, without a password; a database in the output directory moves with it."""
        return self.here(self._record.tracking_uri)

    def here(self, address: str | None) -> str | None:
        """Returns where the store at `address`, as in the record, is now: the folder may have moved."""
        if address is None or not address.startswith("sqlite:///"):
            return address
        path, options, given = address.removeprefix("sqlite:///").partition("?")
        database = Path(unquote(path))
        now = self.output_dir / database.name
        made_in = self._record.config.get("paths", {}).get("output_dir")
        # The record of a sweep of an earlier version doesn't have it.
        was_inside = now.is_file() if made_in is None else database.parent == Path(made_in)
        return f"{database_uri(now)}{options}{given}" if was_inside else address

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tracking(self) -> Path:
        return self.path / "tracking"

    def update(self, **changes: Any) -> None:
        """Changes fields of the record and writes it; any thread may call this."""
        with self._writing:
            self._record = replace(self._record, **changes)
            record = dataclasses.asdict(self._record)
            with written_whole(self.path / "run.json") as file:
                file.write(json.dumps({"record": record, "crc32": _checksum(record)}, indent=2).encode())

    def lock(self, patience: float = 0.0) -> None:
        """Locks the folder for this process, and reads its record, which another process may have changed meanwhile.

        Args:
            patience: seconds to wait for another process to release it.

        Raises:
            ResumeError: another process uses the run; the message names it.
        """
        try:
            self._lock.acquire(patience)
        except Busy as error:
            raise ResumeError(
                f"run {self.id} is in use by {error.owner}. Wait for it to end, stop it, or start a new run with "
                "resume=never."
            ) from None
        if (self.path / "run.json").exists():
            self._record = _read(self.path / "run.json")

    def unlock(self) -> None:
        """Releases the folder, if this process has locked it."""
        self._lock.release()


def folder_named(output_dir: str | Path, name: str) -> RunFolder | None:
    """Returns the run whose folder has this name, or None; a folder without `run.json` isn't a run yet.

    Raises:
        ResumeError: its `run.json` is damaged.
    """
    path = _runs(output_dir) / name
    return RunFolder.open(path) if (path / "run.json").exists() else None


def folders(output_dir: str | Path) -> Iterator[RunFolder]:
    """Yields the runs of an output directory, newest first; leaves out what isn't a run or is damaged."""
    yield from _within(_runs(output_dir))


def sweep_folders(output_dir: str | Path) -> Iterator[RunFolder]:
    """Yields the folders of sweeps, newest first; like runs, they have a run in MLflow and a journal."""
    yield from _within(_runs(output_dir).parent / "sweeps")


def _within(parent: Path) -> Iterator[RunFolder]:
    found = []
    for path in parent.iterdir() if parent.is_dir() else ():
        with contextlib.suppress(ResumeError):
            found.append(RunFolder.open(path))
    yield from sorted(found, key=lambda folder: folder.record.created, reverse=True)


def find(output_dir: str | Path, run: str) -> RunFolder:
    """Returns the run with this MLflow run id, name, or the first characters of one of them, if they are unique.

    Raises:
        ResumeError: there is none, or several.
    """
    known = list(folders(output_dir))
    exact = [folder for folder in known if run in (folder.record.run_id, folder.name)]
    matching = exact or [
        folder for folder in known if (folder.record.run_id or "").startswith(run) or folder.name.startswith(run)
    ]
    if len(matching) == 1:
        return matching[0]
    listed = ", ".join(f"{folder.id} ({folder.record.status})" for folder in (matching or known)[:5])
    if matching:
        raise ResumeError(f"resume={run} matches several runs: {listed}. Type more of the id.")
    raise ResumeError(
        f"resume: there is no run {run} under {_runs(output_dir)}. Known: {listed or 'none'}. "
        "Name its output directory with paths.output_dir=DIR."
    )


def _runs(output_dir: str | Path) -> Path:
    return Path(output_dir).expanduser().resolve() / "runs"


def _read(path: Path) -> Record:
    try:
        content = json.loads(path.read_bytes())
        if _checksum(content["record"]) != content["crc32"]:
            raise ValueError("its checksum is wrong")
        return Record(**content["record"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(f"{path} can't be used ({error}). Restore it, or start a new run.") from error


def _checksum(record: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())
