"""One experiment's MLflow run, written in the background.

Every method but `run_id`, `model` and `finish` returns at once: a worker thread imports MLflow, opens the store,
creates the run and writes. All calls name the run and the store explicitly, so that a notebook's own active run and
tracking address stay as they are. What a run consists of is decided by the experiment; this module only writes it.
"""

import atexit
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from kerasdl.errors import TrackingError
from kerasdl.tracking import environment, limits, logged_model, secrets
from kerasdl.tracking.failures import is_temporary, opening_error, writing_error
from kerasdl.tracking.store import Store, experiment_id, locate
from kerasdl.tracking.worker import Worker

if TYPE_CHECKING:
    import keras
    import numpy as np
    from matplotlib.figure import Figure

Point = tuple[str, float, int, int]  # key, value, timestamp in ms, step

# MLflow's default of 10 s would show nothing of a run of one epoch.
SYSTEM_METRICS_SECONDS = 5.0


class MlflowTracker:
    """Writes one run. The calls are `check`, `start`, anything in any order, `finish`; one thread makes them.

    Args:
        config: has `tracking` and `paths` (`kerasdl.config.schema.Config`).
    """

    def __init__(self, config):
        self._tracking = config.tracking
        self._store: Store = locate(config)
        self._opened = threading.Event()
        self._opening_error: TrackingError | None = None
        self._opening_error_was_raised = False
        # Set by the worker before `_opened` is.
        self._run_id: Any = None
        self._experiment_id: Any = None
        self._client: Any = None
        self._monitor: Any = None
        self._folders: list[tempfile.TemporaryDirectory] = []
        self._started = self._finished = False
        self._worker = Worker(self._write_points, is_temporary, limits.MAX_METRICS)

    def check(self) -> None:
        """Checks in a moment, without MLflow, that runs can be written.

        Raises:
            TrackingError: naming the key to change.
        """
        self._store.check()

    def start(self, *, config_yaml: str, params: dict[str, Any], tags: dict[str, str]) -> None:
        """Begins the run: opens it, then writes its configuration and environment.

        Args:
            config_yaml: the whole resolved configuration, kept as artifact `config.yaml`.
            params: nested; keys are joined with dots, values longer than MLflow takes are cut.
            tags: in addition to `tracking.tags`, which win.
        """
        self._worker.start()
        self._started = True
        atexit.register(self._finish_at_exit)
        self._worker.put("the run", self._open)
        self.params(params)
        self.tags({**tags, **self._tracking.tags})
        self.text(secrets.hide(config_yaml), "config.yaml")
        self._put("the environment", self._write_environment)

    @property
    def run_id(self) -> str | None:
        """The run's id, None before `start`; waits until the run is open.

        Raises:
            TrackingError: if it couldn't be opened.
        """
        if not self._started:
            return None
        self._opened.wait()
        if self._opening_error:
            self._opening_error_was_raised = True
            raise self._opening_error
        return self._run_id

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Writes `values`, keyed by metric, as of `step` (an int >= 0).

        Raises:
            TrackingError: if by now it is known that the run couldn't be opened.
        """
        if self._opening_error:
            self._opening_error_was_raised = True
            raise self._opening_error
        now = time.time_ns() // 1_000_000
        self._worker.put_points([(key, float(value), now, step) for key, value in values.items()])

    def params(self, params: dict[str, Any]) -> None:
        """Writes nested `params`; a param can't change its value later."""
        flat = limits.flatten(params)
        for some in limits.chunks(list(flat.items()), limits.MAX_PARAMS):
            self._put(f"params {some[0][0]} ...", partial(self._write_params, some))

    def tags(self, tags: dict[str, Any]) -> None:
        """Writes `tags`; a tag may change its value later."""
        for some in limits.chunks(list(tags.items()), limits.MAX_PARAMS):
            self._put(f"tags {some[0][0]} ...", partial(self._write_tags, some))

    def text(self, text: str, artifact_path: str) -> None:
        """Writes `text` as the artifact `artifact_path`, e.g. "error/traceback.txt"."""
        self._put(artifact_path, lambda: self._client.log_text(self._run_id, text, artifact_path))

    def figure(self, figure: "Figure", artifact_path: str) -> None:
        """Writes a figure as the artifact `artifact_path`, e.g. "curves.png"; leave it unchanged from now on."""
        self._put(artifact_path, lambda: self._client.log_figure(self._run_id, figure, artifact_path))

    def file(self, path: str | Path, artifact_folder: str | None = None) -> None:
        """Writes the file `path` into the artifact folder; it must stay in place until `finish` has returned."""
        self._put(str(path), lambda: self._client.log_artifact(self._run_id, str(path), artifact_folder))

    def dataset(self, *, name: str, version: str, digest: str, source: str, context: str) -> None:
        """Writes which data the run used.

        Args:
            name: e.g. "mnist".
            version: e.g. "3.0.1".
            digest: identifies the contents; MLflow keeps its first 36 characters.
            source: where it is from, e.g. "tfds://mnist/3.0.1".
            context: what it was used for, e.g. "train".
        """
        self._put(f"data set {name}", lambda: self._write_dataset(name, version, digest, source, context))

    def model(self, model: "keras.Model", example: "np.ndarray") -> None:
        """Writes a trained model under the name "model", so that MLflow can load and serve it.

        Keras is not safe to use from two threads, so the model is saved to a temporary folder before this returns;
        the worker uploads that.

        Args:
            model: takes raw images, returns class probabilities, float [n, classes].
            example: uint8 images [n, H, W, C], n >= 1; the first one is kept as the input example.
        """
        self._opened.wait()
        if self._run_id is None:  # opening failed, which `finish` will say
            return
        folder = tempfile.TemporaryDirectory(prefix="kerasdl-model-")
        self._folders.append(folder)
        logged_model.save(model, example, Path(folder.name), self._run_id)
        upload = logged_model.Upload(Path(folder.name))
        self._put("the model", lambda: upload(self._client, self._run_id, self._experiment_id))

    def finish(self, status: str, error: str | None = None) -> None:
        """Writes what is still queued, ends the run and returns when all is written. A second call does nothing.

        Args:
            status: "FINISHED", "FAILED" or "KILLED".
            error: a traceback, kept as artifact `error/traceback.txt`.

        Raises:
            TrackingError: saying what couldn't be written and why, unless `run_id` has said so already.
        """
        if not self._started or self._finished:
            return
        # From here on an interrupt ends the process without another wait.
        self._finished = True
        atexit.unregister(self._finish_at_exit)
        if error:
            self.text(error, "error/traceback.txt")
        self._put("the end of the run", partial(self._end, status))
        self._worker.close()
        for folder in self._folders:
            folder.cleanup()
        if self._opening_error:
            if not self._opening_error_was_raised:
                raise self._opening_error
        elif self._worker.failures:
            raise writing_error(self._worker.failures, self._run_id, self._store)

    def describe(self) -> str:
        """Returns where results go, e.g. "mlruns/mlflow.db (sqlite), experiment kerasdl"."""
        return f"{self._store.describe()}, experiment {self._tracking.experiment}"

    def ui_command(self) -> str:
        """Returns the command that opens the MLflow UI on these results."""
        return self._store.ui_command()

    def _finish_at_exit(self) -> None:
        """Ends a run that the program left open; an exception has been shown by then, so a failure is one line."""
        try:
            self.finish("KILLED")
        except TrackingError as error:
            print(error, file=sys.stderr)

    def _put(self, name: str, run: Callable[[], None]) -> None:
        """Queues `run`, which is left out if there is no run to write to."""
        self._worker.put(name, lambda: None if self._opening_error else run())

    # Everything below runs on the worker's thread.

    def _open(self) -> None:
        psutil.cpu_percent()  # its first answer is always 0; the system metrics are to start with the second
        try:
            self._client = self._store.connect()
            self._experiment_id = experiment_id(self._client, self._tracking.experiment, self._store)
            run = self._client.create_run(
                self._experiment_id, run_name=self._tracking.run_name, tags={"mlflow.user": environment.user()}
            )
            self._run_id = run.info.run_id
        except Exception as error:
            self._opening_error = opening_error(error, self._store)
        finally:
            self._opened.set()
        if self._tracking.system_metrics and not self._opening_error:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            self._monitor = SystemMetricsMonitor(
                self._run_id, sampling_interval=SYSTEM_METRICS_SECONDS, tracking_uri=self._client.tracking_uri
            )
            self._monitor.start()

    def _write_points(self, points: Sequence[Point]) -> None:
        if self._opening_error:
            return
        from mlflow.entities import Metric

        self._client.log_batch(self._run_id, metrics=[Metric(*point) for point in points])

    def _write_params(self, params: Sequence[tuple[str, str]]) -> None:
        from mlflow.entities import Param

        self._client.log_batch(self._run_id, params=[Param(key, value) for key, value in params])

    def _write_tags(self, tags: Sequence[tuple[str, Any]]) -> None:
        from mlflow.entities import RunTag

        short = [RunTag(key, limits.shorten(str(value), limits.MAX_TAG_LENGTH)) for key, value in tags]
        self._client.log_batch(self._run_id, tags=short)

    def _write_environment(self) -> None:
        self._write_tags(list(environment.tags().items()))
        self._client.log_text(self._run_id, environment.requirements(), "requirements.txt")
        if diff := environment.git_diff():
            self._client.log_text(self._run_id, diff, "git.diff")

    def _write_dataset(self, name: str, version: str, digest: str, source: str, context: str) -> None:
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.entities import Dataset, DatasetInput, InputTag

        # MLflow has no source type for tfds:// and refuses it as an address; it shows this one as it stands.
        origin = CodeDatasetSource({"mlflow.source.name": source, "version": version})
        dataset = Dataset(name, digest[: limits.MAX_DIGEST_LENGTH], "code", origin.to_json())
        tags = [InputTag("mlflow.data.context", context), InputTag("version", version)]
        self._client.log_inputs(self._run_id, [DatasetInput(dataset, tags)])

    def _end(self, status: str) -> None:
        if self._monitor:
            self._monitor.finish()
        self._client.set_terminated(self._run_id, status)
