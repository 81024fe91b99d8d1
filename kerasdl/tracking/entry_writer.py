"""Writes journal entries to a run in MLflow: which call each kind of entry becomes.

Writing an entry again does no harm. MLflow's SQL stores drop a metric point that they have (same key, time, step and
value) and a param that doesn't change; tags, artifacts and the end of a run are overwritten; models carry a tag by
which an earlier try is found. A value that MLflow can never store is left out, and its error kept; every other error is
raised.
"""

import errno
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kerasdl.tracking import entries, limits, logged_model
from kerasdl.tracking.artifacts import upload
from kerasdl.tracking.entries import Entry, Point
from kerasdl.tracking.failures import is_invalid
from kerasdl.tracking.spool import Spool

# What an upload may take beyond what any call may take; most connections are faster.
UPLOAD_BYTES_PER_SECOND = 100_000


class EntryWriter:
    """Writes to one run.

    Args:
        client: MLflow's, of the store that has the run.
        run: MLflow's run.
        spool: the files of the run.
        failures: takes the errors of what can't be stored, by what it was.

    Attributes:
        allowance: seconds that the call under way may take, beyond what any call may.
    """

    def __init__(self, client: Any, run: Any, spool: Spool, failures: dict[str, Exception]):
        self.allowance = 0.0
        self._client = client
        self._run_id = run.info.run_id
        self._experiment_id = run.info.experiment_id
        self._artifacts = run.info.artifact_uri
        self._spool = spool
        self._failures = failures

    def write_points(self, points: Sequence[Point]) -> None:
        """Writes metric points; a name that MLflow refuses costs only its own points."""
        for some in limits.chunks(points, limits.MAX_METRICS):
            try:
                self._log_points(some)
            except Exception as error:
                if not is_invalid(error):
                    raise
                self._write_by_key(some)

    def write(self, entry: Entry) -> None:
        """Writes an entry that isn't metric points."""
        try:
            self._leave_out_invalid(entries.name(entry), lambda: self._write(entry))
        finally:
            self.allowance = 0.0

    def _write_by_key(self, points: Sequence[Point]) -> None:
        by_key = defaultdict(list)
        for point in points:
            by_key[point[0]].append(point)
        for key, some in by_key.items():
            self._leave_out_invalid(f"metric {key}", lambda some=some: self._log_points(some))  # type: ignore[misc]

    def _leave_out_invalid(self, name: str, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:
            if not is_invalid(error):
                raise
            self._failures.setdefault(name, error)

    def _log_points(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        self._client.log_batch(self._run_id, metrics=[Metric(*point) for point in points])

    def _write(self, entry: Entry) -> None:
        from mlflow.entities import Param, RunTag

        match entry["kind"]:
            case "params":
                params = [Param(key, value) for key, value in entry["values"].items()]
                self._client.log_batch(self._run_id, params=params)
            case "tags":
                tags = [RunTag(key, value) for key, value in entry["values"].items()]
                self._client.log_batch(self._run_id, tags=tags)
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
                        self._client,
                        path,
                        run_id=self._run_id,
                        experiment_id=self._experiment_id,
                        entry_id=path.parent.name,
                        step=entry["step"],
                    )
            case "resumption":
                self._client.update_run(self._run_id, status="RUNNING")
            case "end":
                self._client.set_terminated(self._run_id, entry["status"], entry["time"])

    def _locate(self, entry: Entry) -> Path | None:
        """Returns the file of an entry and allows time for it; None if it was deleted, because it has been sent."""
        path = self._spool.locate(entry) if entry["spooled"] else Path(entry["path"])
        if not path.exists():
            if not entry["spooled"]:
                self._failures.setdefault(entries.name(entry), FileNotFoundError(errno.ENOENT, "it was deleted"))
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
            self._client.log_inputs(self._run_id, [DatasetInput(dataset, tags)])
        except MlflowException:
            # MLflow looks whether the experiment has the data set, and otherwise adds it. If two runs start at the
            # same moment, this fails for one of them; its second try finds what the other has added.
            self._client.log_inputs(self._run_id, [DatasetInput(dataset, tags)])
