"""One experiment's MLflow run: what training reports goes to a journal on disk, and from there to MLflow.

Every method but `text`, `figure`, `model` and `finish` returns at once; a worker thread imports MLflow, opens the store
and sends. All calls to MLflow name the run and the store explicitly, so that a notebook's own active run and tracking
address stay as they are. The experiment decides what a run consists of.
"""

import atexit
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.errors import TrackingError
from kerasdl.tracking import deleted, entries, logged_model, secrets
from kerasdl.tracking.local_run import LocalRun
from kerasdl.tracking.recorder import RunRecorder
from kerasdl.tracking.store import Store, locate
from kerasdl.tracking.worker import PATIENCE_SECONDS

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure


class MlflowTracker:
    """Tracks one run. The calls are `check`, `start`, anything in any order, `finish`; one thread makes them.

    Args:
        config: has `tracking` and `paths` (`kerasdl.config.schema.Config`).

    Attributes:
        attempt: how often training rolled back to an earlier step because of a NaN. Points of a later attempt are new
            points, even at steps that have some.
    """

    def __init__(self, config):
        self.attempt = 0
        self._tracking = config.tracking
        self._store: Store = locate(config)
        self._recorder: RunRecorder | None = None  # set by `start`; until then there is no run
        self._finished = False
        self._opening_error_was_raised = False

    def check(self, run_id: str | None = None) -> None:
        """Checks quickly, without MLflow, that a run can be written.

        Args:
            run_id: of the run that is resumed; None for a new one.

        Raises:
            TrackingError: naming the key to change.
            Away: a server doesn't answer.
        """
        self._store.check()
        deleted.check(self._store, self._tracking.experiment, run_id)

    def start(
        self,
        folder: LocalRun,
        *,
        config_yaml: str,
        params: dict[str, Any],
        tags: dict[str, str],
        resumed_at: int | None = None,
    ) -> None:
        """Starts or resumes the run, and starts to send.

        Args:
            folder: the run's; its lock is held until `finish` has returned.
            config_yaml: the whole configuration with all interpolations resolved, kept as artifact `config.yaml`.
            params: nested; keys are joined with dots, values longer than MLflow takes are cut. Those that a resumed
                run has reported before stay as they are.
            tags: in addition to `tracking.tags`, which take precedence.
            resumed_at: training step at which the run resumes; None for a new run.

        Raises:
            TrackingError: the resumed run is in another store.
        """
        self._require_same_store(folder)
        folder.update(tracking_uri=self._store.address, experiment=self._tracking.experiment)
        self._recorder = recorder = RunRecorder(self._store, folder, self._tracking, resumed_at)
        atexit.register(self._finish_at_exit)
        if resumed_at is not None:
            recorder.append(entries.resumption())
            tags = {**tags, entries.RESUMED: str(recorder.reported.resumptions + 1)}
        recorder.params(params)
        recorder.tags({**tags, **self._tracking.tags})
        recorder.text(secrets.hide(config_yaml), "config.yaml")
        recorder.worker.start()

    @property
    def run_id(self) -> str | None:
        """The run's id; waits while the run is being opened. None before `start`, and while the store is unavailable.

        Raises:
            TrackingError: the run can't be opened.
        """
        if self._recorder is None:
            return None
        self._recorder.worker.wait_until_opened()
        self._raise_opening_error()
        return self._recorder.run_id

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Records `values`, keyed by metric, at `step` (an int >= 0), unless a resumed run has reported them before.

        Raises:
            TrackingError: the run can't be opened, as it turned out meanwhile.
        """
        self._raise_opening_error()
        if self._recorder:
            self._recorder.metrics(values, int(step), self.attempt)

    def end_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Records `values` as the last ones of a run that ends at `step`, where the last epoch may have others.

        Raises:
            TrackingError: the run can't be opened, as it turned out meanwhile.
        """
        self._raise_opening_error()
        if self._recorder:
            self._recorder.end_metrics(values, int(step), self.attempt)

    def series(self, key: str, first_step: int, values: Sequence[float]) -> None:
        """Records one metric at consecutive steps, as `metrics` would, in one short entry.

        Args:
            key: the metric.
            first_step: step of the first value, an int >= 0.
            values: one for each step.
        """
        self._raise_opening_error()
        if self._recorder:
            self._recorder.series(key, int(first_step), values, self.attempt)

    def params(self, params: Mapping[str, Any]) -> None:
        """Records nested `params`; a param can't change its value later."""
        if self._recorder:
            self._recorder.params(params)

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Records `tags`; a tag may change its value later."""
        if self._recorder:
            self._recorder.tags(tags)

    def text(self, text: str, artifact_path: str) -> None:
        """Records `text` as the artifact `artifact_path`, e.g. "error/traceback.txt"."""
        if self._recorder:
            self._recorder.text(text, artifact_path)

    def figure(self, figure: "Figure", artifact_path: str) -> None:
        """Draws a figure and records it as the artifact `artifact_path`, e.g. "curves.png"."""
        if self._recorder:
            self._recorder.artifact(artifact_path, figure.savefig)

    def file(self, path: str | Path, artifact_folder: str | None = None) -> None:
        """Records a file or folder, for the artifact folder; it must stay in place until it has been sent."""
        if self._recorder:
            self._recorder.append(entries.artifact(Path(path).absolute(), artifact_folder, spooled=False))

    def dataset(self, *, name: str, version: str, digest: str, source: str, context: str) -> None:
        """Records which data the run used, unless a resumed run has reported it before.

        Args:
            name: e.g. "mnist".
            version: e.g. "3.0.1".
            digest: identifies the contents; MLflow keeps its first 36 characters.
            source: where it comes from, e.g. "tfds://mnist/3.0.1".
            context: what it was used for, e.g. "train".
        """
        if self._recorder and name not in self._recorder.reported.datasets:
            self._recorder.append(entries.dataset(name, version, digest, source, context))

    def model(
        self, model: "keras.Model", example: logged_model.Example, step: int, metadata: dict[str, Any] | None = None
    ) -> None:
        """Records a trained model under the name "model", so that MLflow can load and serve it.

        Keras is not safe to use from two threads, so the model is saved before this returns; the worker uploads it.
        A model of a step for which a resumed run has reported one before is left out.

        Args:
            model: what is handed over.
            example: what the model takes: an array (n, ...), or several by name; the first one is kept as an example.
            step: number of training steps that the model has had.
            metadata: facts for whoever loads it, e.g. the names of the classes; must fit into JSON.
        """
        if self._recorder:
            self._recorder.model(int(step), lambda folder: logged_model.save(model, example, folder, metadata))

    def sync(self) -> None:
        """Returns when everything so far is on the disk itself and would survive a loss of power.

        Raises:
            OSError: the disk is full or broken. A checkpoint must not be ahead of the journal then.
        """
        if self._recorder:
            self._recorder.journal.sync()

    def finish(self, status: str, error: str | None = None, patience: float = PATIENCE_SECONDS) -> None:
        """Ends the run and returns when everything has been sent, or is kept for later. A second call does nothing.

        Args:
            status: "FINISHED", "FAILED" or "KILLED".
            error: a traceback, kept as artifact `error/traceback.txt`.
            patience: seconds to wait for a store that doesn't answer; one that answers gets the time that it needs.

        Raises:
            TrackingError: names what couldn't be sent and why, unless `run_id` or `metrics` has raised that before.
        """
        if self._recorder is None or self._finished:
            return
        # From here on an interrupt ends the process without waiting again.
        self._finished = True
        atexit.unregister(self._finish_at_exit)
        if error:
            self.text(error, "error/traceback.txt")
        try:
            self._recorder.close(status, patience)
        except TrackingError:
            if not self._opening_error_was_raised:
                raise

    def describe(self) -> str:
        """Returns where results go, e.g. "mlruns/mlflow.db (sqlite), experiment kerasdl"."""
        return f"{self._store.describe()}, experiment {self._tracking.experiment}"

    def ui_command(self) -> str:
        """Returns the command that opens the MLflow UI on these results."""
        return self._store.ui_command()

    def _require_same_store(self, folder: LocalRun) -> None:
        """Raises TrackingError if the run is in MLflow already, but in another store."""
        store = self._store
        if folder.record.run_id and folder.tracking_uri not in (None, store.address):
            raise TrackingError(
                f"{store.key} must name the store that has run {folder.id}: {folder.tracking_uri}. "
                f"Received: '{store.address}'. Set tracking.uri to that one."
            )

    def _raise_opening_error(self) -> None:
        if self._recorder and self._recorder.worker.opening_error:
            self._opening_error_was_raised = True
            raise self._recorder.worker.opening_error

    def _finish_at_exit(self) -> None:
        """Ends a run that the program left open. An exception has been printed by then, so a failure is one line."""
        try:
            self.finish("KILLED")
        except TrackingError as error:
            print(error, file=sys.stderr)
