"""Sends a journal to MLflow, so that whatever happens each entry has its effect there exactly once.

Sending an entry again does no harm. MLflow's SQL stores drop a metric point that they have (same key, time, step and
value) and a param that doesn't change; tags, artifacts and the end of a run are written over; runs and models carry a
tag by which an earlier try is found. So `Journal.sent` may lag behind the truth, and never runs ahead of it.
A store that is away holds up everything; what the store refuses while it takes the rest is set aside; only a value that
MLflow can never hold is left out. Who calls, how often, and what a failure means for the run is left to
`kerasdl.tracking.worker` and `kerasdl.sync`.
"""

import errno
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from kerasdl.runs import RunFolder
from kerasdl.tracking import deleted, entries, environment, limits, logged_model
from kerasdl.tracking.entries import Entry, Point
from kerasdl.tracking.failures import is_away, is_invalid, is_temporary
from kerasdl.tracking.journal import Journal, Read
from kerasdl.tracking.spool import Spool
from kerasdl.tracking.store import LOCK_TIMEOUT_SECONDS, Store, experiment_id
from kerasdl.tracking.upload import upload

RUN_TAG = "kerasdl.run"
# What an upload may take beyond what any call may take; a slow line does better.
UPLOAD_BYTES_PER_SECOND = 100_000


class Batch(NamedTuple):
    """What is sent before `sent` moves on to `end`: metric points, or an entry of another kind.

    Attributes:
        points: of one or more entries.
        entry: None if there are points.
        begins: where the entries begin in the journal.
        end: where the last one ends.
    """

    points: list[Point]
    entry: Entry | None
    begins: list[int]
    end: int


class Sender:
    """Sends the journal of one run; one thread uses it.

    Args:
        store: where the run is or shall be.
        folder: the run's; its lock is held.
        journal: the run's, open.
        experiment: name of MLflow's experiment for a new run.
        run_name: MLflow's name for a new run; None lets MLflow invent one.

    Attributes:
        run_id: MLflow's run id; None until `open` has returned.
        failures: what can't be stored, by what it was.
        refused: what the store refused, but took or may take another time, by what it was.
        allowance: seconds that the call under way may take, beyond what any call may.
        abandoned: set when nobody waits for this sender any more, and another one may be at work.
    """

    def __init__(
        self, store: Store, folder: RunFolder, journal: Journal, *, experiment: str, run_name: str | None = None
    ):
        self.run_id: str | None = None
        self.failures: dict[str, Exception] = {}
        self.refused: dict[str, Exception] = {}
        self.allowance = 0.0
        self.abandoned = threading.Event()
        self._store = store
        self._folder = folder
        self._journal = journal
        self._spool = Spool(folder.tracking)
        self._experiment = experiment
        self._run_name = run_name
        self._client: Any = None
        self._experiment_id: Any = None
        self._artifacts = ""  # where the run's are

    def open(self) -> None:
        """Opens the store and the run: the one that the record names, else one with the folder's tag, else a new one.

        Takes seconds. May be called again after a failure.

        Raises:
            Exception: whatever MLflow raises; `is_temporary` says whether it is worth another try.
        """
        self.allowance = LOCK_TIMEOUT_SECONDS  # other processes may be creating the same store
        self._client = self._store.connect()
        known = self._folder.record.run_id
        run = self._client.get_run(known) if known else self._find_run() or self._create_run()
        if run.info.lifecycle_stage != "active":
            raise deleted.run_error(self._store, run.info.run_id)
        if self.abandoned.is_set():
            return
        self._experiment_id = run.info.experiment_id
        self._artifacts = run.info.artifact_uri
        self._folder.update(
            run_id=run.info.run_id, tracking_uri=self._store.address, experiment=self._experiment
        )  # fmt: skip
        self.run_id = run.info.run_id
        self.allowance = 0.0

    def send(self) -> Iterator[int]:
        """Sends what is in the journal by now, and yields the journal's offset after each call to MLflow.

        What MLflow can never hold is left out and remembered in `failures`; what it refuses otherwise is set aside, and
        remembered in `refused`.

        Raises:
            Exception: the store is away; nothing is lost, and another `send` begins where this one stopped.
        """
        end, reads = self._journal.unsent()
        for batch in _batches(reads):
            self._send_or_set_aside(batch)
            if self.abandoned.is_set():
                return
            self._journal.mark_sent(batch.end)
            yield batch.end
        self._journal.mark_sent(end)  # a damaged line at the end is no reason to come back

    def send_aside(self) -> Iterator[int]:
        """Sends what was set aside, and yields after each call to MLflow; raises as `send` does.

        What something sent later has replaced (a newer file of the same name, a later end of the run) is left out.
        """
        for read in list(self._journal.set_aside()):
            if _is_replaced(read.entry, self._journal.sent_after(read)):
                self._settle(read.entry, [read.begin])
            else:
                self._send_or_set_aside(Batch(entries.points(read.entry), read.entry, [read.begin], read.end))
            if self.abandoned.is_set():
                return
            yield read.end

    def _send_or_set_aside(self, batch: Batch) -> None:
        name = entries.name(batch.entry) if batch.entry else "metrics"
        try:
            self._send_points(batch.points)
            if batch.entry:
                self._send_entry(batch.entry)
        except Exception as error:
            held_up_by = is_away if batch.entry and entries.has_file(batch.entry) else is_temporary
            if held_up_by(error):
                raise
            self._journal.aside.add(batch.begins)
            self.refused[name] = error
            return
        self._settle(batch.entry, batch.begins)
        self.refused.pop(name, None)

    def _settle(self, entry: Entry | None, begins: Sequence[int]) -> None:
        """Forgets the file of entries that needn't be sent any more."""
        if self.abandoned.is_set():
            return
        self._journal.aside.discard(begins)
        if entry and entry.get("spooled"):
            self._spool.remove(entry)

    def send_kept(self) -> None:
        """Tries once to send what is only in memory, because the disk is full and the run is over."""
        for entry in self._journal.take_kept():
            try:
                self._send_points(entries.points(entry))
                self._send_entry(entry)
            except Exception as error:
                self.failures.setdefault(entries.name(entry), error)

    def _find_run(self) -> Any:
        """Returns the run that was created for this folder before the record could say so, if there is one."""
        self._experiment_id = experiment_id(self._client, self._experiment, self._store)
        found = self._client.search_runs(
            [self._experiment_id], f"tags.`{RUN_TAG}` = '{self._folder.name}'", max_results=1
        )
        return found[0] if found else None

    def _create_run(self) -> Any:
        created = datetime.fromisoformat(self._folder.record.created)
        return self._client.create_run(
            self._experiment_id,
            start_time=int(created.timestamp() * 1000),
            run_name=self._run_name,
            tags={RUN_TAG: self._folder.name, "mlflow.user": environment.user()},
        )

    def _send_points(self, points: Sequence[Point]) -> None:
        """Sends metric points; a name that MLflow refuses costs no more than its own points."""
        for some in limits.chunks(points, limits.MAX_METRICS):
            try:
                self._log_points(some)
            except Exception as error:
                if not is_invalid(error):
                    raise
                self._send_by_key(some)

    def _send_by_key(self, points: Sequence[Point]) -> None:
        by_key = defaultdict(list)
        for point in points:
            by_key[point[0]].append(point)
        for key, some in by_key.items():
            self._leave_out_invalid(f"metric {key}", lambda some=some: self._log_points(some))  # type: ignore[misc]

    def _log_points(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        self._client.log_batch(self.run_id, metrics=[Metric(*point) for point in points])

    def _send_entry(self, entry: Entry) -> None:
        try:
            self._leave_out_invalid(entries.name(entry), lambda: self._write(entry))
        finally:
            self.allowance = 0.0

    def _leave_out_invalid(self, name: str, send: Callable[[], None]) -> None:
        try:
            send()
        except Exception as error:
            if not is_invalid(error):
                raise
            self.failures.setdefault(name, error)

    def _write(self, entry: Entry) -> None:
        from mlflow.entities import Param, RunTag

        match entry["kind"]:
            case "params":
                params = [Param(key, value) for key, value in entry["values"].items()]
                self._client.log_batch(self.run_id, params=params)
            case "tags":
                tags = [RunTag(key, value) for key, value in entry["values"].items()]
                self._client.log_batch(self.run_id, tags=tags)
            case "artifact":
                if path := self._locate(entry):
                    folder = entry["folder"]
                    if path.is_dir():
                        folder = f"{folder}/{path.name}" if folder else path.name
                    upload(self._client, self._artifacts, path, folder)
            case "dataset":
                self._write_dataset(entry)
            case "model":
                if path := self._locate(entry):
                    logged_model.attach(
                        self._client, path, run_id=self.run_id or "", experiment_id=self._experiment_id,
                        entry_id=path.parent.name, step=entry["step"],
                    )  # fmt: skip
            case "resumption":
                self._client.update_run(self.run_id, status="RUNNING")
            case "end":
                self._client.set_terminated(self.run_id, entry["status"], entry["time"])

    def _locate(self, entry: Entry) -> Path | None:
        """Returns the file of an entry and allows time for it; None if it was sent earlier, and deleted then."""
        path = self._spool.locate(entry) if entry["spooled"] else Path(entry["path"])
        if not path.exists():
            if not entry["spooled"]:
                self.failures.setdefault(entries.name(entry), FileNotFoundError(errno.ENOENT, "it was deleted"))
            return None
        files = path.rglob("*") if path.is_dir() else [path]
        self.allowance = sum(file.stat().st_size for file in files if file.is_file()) / UPLOAD_BYTES_PER_SECOND
        return path

    def _write_dataset(self, entry: Entry) -> None:
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException

        # MLflow has no source type for tfds:// and refuses it as an address; it shows this one as it stands.
        origin = CodeDatasetSource({"mlflow.source.name": entry["source"], "version": entry["version"]})
        dataset = Dataset(entry["name"], entry["digest"][: limits.MAX_DIGEST_LENGTH], "code", origin.to_json())
        tags = [InputTag("mlflow.data.context", entry["context"]), InputTag("version", entry["version"])]
        try:
            self._client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])
        except MlflowException:
            # MLflow looks whether the experiment knows the data set, and else adds it. Of two runs that begin at the
            # same moment one fails with that; asked again, it finds what the other has added.
            self._client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])


def _batches(reads: Iterator[Read]) -> Iterator[Batch]:
    """Gathers the points of consecutive entries, as many as MLflow takes in one call."""
    gathered = Batch([], None, [], 0)
    for read in reads:
        more = entries.points(read.entry)
        if gathered.points and (not more or len(gathered.points) + len(more) > limits.MAX_METRICS):
            yield gathered
            gathered = Batch([], None, [], 0)
        if more:
            gathered = Batch(gathered.points + more, None, [*gathered.begins, read.begin], read.end)
        else:
            yield Batch([], read.entry, [read.begin], read.end)
    if gathered.points:
        yield gathered


def _is_replaced(entry: Entry, later: Iterable[Entry]) -> bool:
    """Returns whether something that was sent later has taken an entry's place."""
    if entry["kind"] == "artifact":
        name = entries.name(entry)
        return any(other["kind"] == "artifact" and entries.name(other) == name for other in later)
    return entry["kind"] in ("resumption", "end") and any(other["kind"] in ("resumption", "end") for other in later)
