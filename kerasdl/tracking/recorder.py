"""Records a run from its start to its end: journal, spool, the thread that sends them, what was reported before.

`mlflow_tracker` is what an experiment sees of it; it exists before the run starts.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from kerasdl.console import warn
from kerasdl.tracking import entries, environment, limits
from kerasdl.tracking.failures import waiting_error, writing_error
from kerasdl.tracking.journal import Journal
from kerasdl.tracking.local_run import LocalRun
from kerasdl.tracking.reported import ReportedBefore
from kerasdl.tracking.sender import Sender
from kerasdl.tracking.spool import Spool
from kerasdl.tracking.store import Store, import_mlflow
from kerasdl.tracking.worker import Worker


class RunRecorder:
    """Records one run.

    Args:
        store: where the run is, or will be.
        folder: the run's; its lock is held.
        settings: the configuration's `tracking`.
        resumed_at: training step at which the run resumes; None for a new run.

    Attributes:
        journal: everything that the run has reported.
        reported: what a resumed run has reported before.
        worker: sends the journal, once it is started.
    """

    def __init__(self, store: Store, folder: LocalRun, settings: Any, resumed_at: int | None):
        self._store = store
        self._folder = folder
        self._system_metrics = settings.system_metrics
        self._git_diff = getattr(settings, "git_diff", True)  # a resumed run may be older than this key
        self._monitor: Any = None
        self._closing = False
        self.journal = Journal(folder.tracking)
        self._spool = Spool(folder.tracking)
        self._spool.remove_all_but(self.journal.waiting())
        self.reported = ReportedBefore(self.journal, resumed_at)
        self._metrics_until = self.reported.metrics_until
        self._sender = Sender(
            store, folder, self.journal, experiment=settings.experiment, run_name=settings.run_name
        )  # fmt: skip
        self.worker = Worker(self._sender, self.journal, store, self._prepare)

    @property
    def run_id(self) -> str | None:
        """MLflow's run id; None as long as the run hasn't been opened there."""
        return self._sender.run_id or self._folder.record.run_id

    def append(self, entry: entries.Entry) -> None:
        """Appends an entry to the journal and wakes the sender."""
        self.journal.append(entry)
        self.worker.wake()

    def metrics(self, values: Mapping[str, float], step: int, attempt: int) -> None:
        """Records the values that haven't been reported before."""
        new = [(key, float(value)) for key, value in values.items() if not self.reported.has_point(attempt, key, step)]
        if new:
            self._append_metrics(entries.metrics(new, step, attempt))

    def end_metrics(self, values: Mapping[str, float], step: int, attempt: int) -> None:
        """Records values measured at the end, unless reported before: second points at a step that may have one."""
        new = [(key, float(value)) for key, value in values.items() if (key, step) not in self.reported.final]
        if new:
            # If a step has two points, MLflow takes the later one as the metric's last value.
            self._append_metrics(entries.metrics(new, step, attempt, final=True, after=self._metrics_until))

    def _append_metrics(self, entry: entries.Entry) -> None:
        self._metrics_until = entries.points(entry)[-1][2]
        self.append(entry)

    def series(self, key: str, first_step: int, values: Sequence[float], attempt: int) -> None:
        """Records new values of consecutive steps, in one entry unless steps that were reported before lie between."""
        new: list[float] = []
        for step, value in enumerate(values, first_step):
            if not self.reported.has_point(attempt, key, step):
                new.append(float(value))
            elif new:
                self.append(entries.series(key, step - len(new), new, attempt))
                new = []
        if new:
            self.append(entries.series(key, first_step + len(values) - len(new), new, attempt))

    def params(self, params: Mapping[str, Any]) -> None:
        """Records nested params that haven't been reported before."""
        flat = {key: value for key, value in limits.flatten(params).items() if key not in self.reported.params}
        for some in limits.chunks(list(flat.items()), limits.MAX_PARAMS):
            self.append(entries.params(dict(some)))

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Records tags."""
        short = [(key, limits.shorten(str(value), limits.MAX_TAG_LENGTH)) for key, value in tags.items()]
        for some in limits.chunks(short, limits.MAX_PARAMS):
            self.append(entries.tags(dict(some)))

    def artifact(self, artifact_path: str, write: Callable[[Path], Any]) -> None:
        """Records the file that `write` makes at the path it is given."""
        folder, _, name = artifact_path.rpartition("/")
        if path := self._add_to_spool(artifact_path, name, write):
            self.append(entries.artifact(path, folder or None, spooled=True))

    def text(self, text: str, artifact_path: str) -> None:
        """Records a text as an artifact."""
        self.artifact(artifact_path, lambda path: path.write_text(text, encoding="utf-8"))

    def model(self, step: int, write: Callable[[Path], Any]) -> None:
        """Records the model that `write` saves in the folder it is given, unless this step's was reported before."""
        if step not in self.reported.models and not self.worker.opening_error:
            import_mlflow()
            if path := self._add_to_spool("the model", "model", write):
                self.append(entries.model(path, step))

    def close(self, status: str, patience: float) -> None:
        """Ends the run and returns when everything has been sent, or is kept for later.

        Raises:
            TrackingError: saying what couldn't be sent and why.
        """
        self._closing = True
        if self._monitor:
            self._monitor.finish()
        self.append(entries.end(status))
        has_ended = self.worker.close(patience)
        waiting = self.journal.count_waiting()
        if has_ended:  # a thread that hangs may return at any time and use the files
            self.journal.close()
        if self.worker.opening_error:
            raise self.worker.opening_error
        errors = []
        if self._sender.failures:
            errors.append(writing_error(self._sender.failures, self._folder.id))
        if waiting:
            why = self.worker.last_error, self._sender.refusals
            errors.append(waiting_error(self._folder.id, waiting, self._folder.tracking, self._store, *why))
        for error in errors[:-1]:
            warn(str(error))
        if errors:
            raise errors[-1]

    def _add_to_spool(self, what: str, name: str, write: Callable[[Path], Any]) -> Path | None:
        """Returns where a file is in the spool; None if there is no space, which the end of the run reports."""
        try:
            return self._spool.add(name, write)
        except OSError as error:
            self._sender.failures.setdefault(what, error)
            return None

    def _prepare(self) -> None:
        """Does what takes long on the worker's thread: collects the environment and starts the system's metrics."""
        psutil.cpu_percent()  # its first value is always 0; the system metrics start with the second
        if "requirements.txt" not in self.reported.artifacts:
            self.tags(environment.tags())
            self.text(environment.requirements(), "requirements.txt")
            for name, diff in environment.git_diffs().items() if self._git_diff else ():
                self.text(diff, name)
        if self._system_metrics:
            import_mlflow()
            from kerasdl.tracking.system_metrics import JournaledSystemMetrics

            self._monitor = JournaledSystemMetrics(
                lambda values, sample: self.append(entries.system_metrics(values, sample)), self.reported.next_sample
            )
            self._monitor.start()
            if self._closing:  # the other thread may have been too early to see the monitor
                self._monitor.finish()
