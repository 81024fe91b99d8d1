"""The files and numbers of a run that has ended, in MLflow: read, and added to by commands.

During training they take the way through the journal (`recorder`). A command waits for each call instead, and reports
at once what MLflow refuses.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.errors import TrackingError
from kerasdl.tracking import entries, limits, secrets
from kerasdl.tracking.failures import is_temporary, reason, sync_command, translated
from kerasdl.tracking.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient


class Artifacts:
    """The files and numbers of one run. Every method raises TrackingError if the store can't do it.

    Args:
        store: has the run.
        client: of that store.
        run_id: MLflow's.
    """

    def __init__(self, store: Store, client: "MlflowClient", run_id: str):
        self._store = store
        self._client = client
        self._run_id = run_id

    def list(self) -> list[str]:
        """Returns the paths of all files, sorted: `config.yaml`, `evaluate/test/classes.csv`, ..."""
        with translated(self._store):
            return sorted(self._files(None))

    def fetch(self, path: str, folder: Path) -> Path:
        """Returns the file at `path`, downloaded to `folder` unless the store has it on this machine.

        Raises:
            TrackingError: the run has no such file.
        """
        from mlflow.exceptions import MlflowException

        with translated(self._store):
            try:
                return Path(self._client.download_artifacts(self._run_id, path, str(folder)))
            except (MlflowException, OSError) as error:
                if is_temporary(error):
                    raise
                raise TrackingError(
                    f"run {self._run_id} has no file {path} in {secrets.hide(self._address())} ({reason(error)}). "
                    f"If it waits to be sent, send it: {sync_command(self._store)}"
                ) from error

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Adds metrics; one that the run already has gets another value."""
        from mlflow.entities import Metric

        now = entries.now_ms()
        points = [Metric(name, float(value), now, step) for name, value in values.items()]
        with translated(self._store):
            for some in limits.chunks(points, limits.MAX_METRICS):
                self._client.log_batch(self._run_id, metrics=some)

    def tags(self, values: Mapping[str, Any]) -> None:
        """Sets tags."""
        with translated(self._store):
            for name, value in values.items():
                self._client.set_tag(self._run_id, name, limits.shorten(str(value), limits.MAX_TAG_LENGTH))

    def text(self, text: str, path: str) -> None:
        """Adds a text as the file `path`, e.g. `evaluate/test/classes.csv`; replaces one that is there."""
        self._write(path, lambda file: file.write_text(text, encoding="utf-8"))

    def figure(self, figure: "Figure", path: str) -> None:
        """Draws a figure and adds it as the file `path`, e.g. `evaluate/test/reliability.png`."""
        self._write(path, figure.savefig)

    def file(self, source: Path, folder: str) -> None:
        """Adds a file, or everything in a folder, to the artifact folder `folder`."""
        self._upload(source, folder)

    def _write(self, path: str, write: Callable[[Path], Any]) -> None:
        folder, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="kerasdl-") as temporary:
            file = Path(temporary) / name
            write(file)
            self._upload(file, folder or None)

    def _upload(self, source: Path, folder: str | None) -> None:
        try:
            with translated(self._store):
                upload(self._client, self._address(), source, folder)
        except OSError as error:
            where = error.filename or "its artifact store"
            raise TrackingError(
                f"run {self._run_id} can't take {folder or source.name}: {where} can't be written "
                f"({error.strerror or error}). Make it writable, or add nothing to the run: log=false."
            ) from error

    def _address(self) -> str:
        return self._client.get_run(self._run_id).info.artifact_uri

    def _files(self, folder: str | None) -> Iterator[str]:
        for found in self._client.list_artifacts(self._run_id, folder):
            if found.is_dir:
                yield from self._files(found.path)
            else:
                yield found.path


class NoArtifacts:
    """Takes results and stores none of them: `log=false`."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None: ...

    def tags(self, values: Mapping[str, Any]) -> None: ...

    def text(self, text: str, path: str) -> None: ...

    def figure(self, figure: "Figure", path: str) -> None: ...

    def file(self, source: Path, folder: str) -> None: ...


def upload(client: "MlflowClient", address: str, source: Path, folder: str | None = None) -> None:
    """Uploads a file, or everything in a directory, to a folder of an artifact store.

    MLflow's client isn't asked where a run's files go: it remembers that for the whole process, by the run's id alone.
    A copied store has the same ids, so that files of the copy would go to the original.

    Args:
        client: of the tracking store.
        address: where the artifacts of a run or a model are (`artifact_uri`, `artifact_location`).
        source: the file or directory.
        folder: below `address`; None: `address` itself.

    Raises:
        Exception: whatever MLflow or the store raises; see `kerasdl.tracking.failures`.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(address, tracking_uri=client.tracking_uri)
    if source.is_dir():
        repository.log_artifacts(str(source), folder)
    else:
        repository.log_artifact(str(source), folder)
