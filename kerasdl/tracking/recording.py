"""A run while it is being recorded: its journal and spool, the thread that sends them, and what is known already.

`kerasdl.tracking.mlflow_tracker` is what an experiment sees of it; everything here exists from a run's start on.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from kerasdl.console import warn
from kerasdl.runs import RunFolder
from kerasdl.tracking import entries, environment, limits
from kerasdl.tracking.failures import waiting_error, writing_error
from kerasdl.tracking.journal import Journal
from kerasdl.tracking.known import Known
from kerasdl.tracking.sender import Sender
from kerasdl.tracking.spool import Spool
from kerasdl.tracking.store import Store, import_mlflow
from kerasdl.tracking.worker import Worker


class Recording:
    """Records one run.

    Args:
        store: where the run is or shall be.
        folder: the run's; its lock is held.
        settings: the configuration's `tracking`.
        resumed_at: training step that the run goes on at; None for a new run.

    Attributes:
        journal: what has been reported.
        known: what a run that goes on has reported before.
        worker: sends the journal, once it is started.
    """

    def __init__(self, store: Store, folder: RunFolder, settings: Any, resumed_at: int | None):
        self._store = store
        self._folder = folder
        self._system_metrics = settings.system_metrics
        self._git_diff = getattr(settings, "git_diff", True)  # runs that go on may be older than this key
        self._monitor: Any = None
        self._closing = False
        self.journal = Journal(folder.tracking)
        self._spool = Spool(folder.tracking)
        self._spool.remove_all_but(self.journal.waiting())
        self.known = Known(self.journal, resumed_at)
        self._metrics_until = self.known.metrics_until
        self._sender = Sender(
            store, folder, self.journal, experiment=settings.experiment, run_name=settings.run_name
        )  # fmt: skip
        self.worker = Worker(self._sender, self.journal, store, self._prepare)

    @property
    def run_id(self) -> str | None:
        """MLflow's run id, as far as it is known by now."""
        return self._sender.run_id or self._folder.record.run_id

    def append(self, entry: entries.Entry) -> None:
        """Keeps an entry, and has it sent."""
        self.journal.append(entry)
        self.worker.wake()

    def metrics(self, values: Mapping[str, float], step: int, attempt: int) -> None:
        """Keeps those values that aren't known."""
        new = [(key, float(value)) for key, value in values.items() if not self.known.has_point(attempt, key, step)]
        if new:
            self._append_metrics(entries.metrics(new, step, attempt))

    def end_metrics(self, values: Mapping[str, float], step: int, attempt: int) -> None:
        """Keeps those values of a run's end that aren't known: another point at a step that may have one."""
        new = [(key, float(value)) for key, value in values.items() if (key, step) not in self.known.ends]
        if new:
            # Of two points at one step MLflow takes the later one for the last.
            self._append_metrics(entries.metrics(new, step, attempt, of_end=True, after=self._metrics_until))

    def _append_metrics(self, entry: entries.Entry) -> None:
        self._metrics_until = entries.points(entry)[-1][2]
        self.append(entry)

    def series(self, key: str, first_step: int, values: Sequence[float], attempt: int) -> None:
        """Keeps those values of consecutive steps that aren't known, in one entry unless known ones lie between."""
        new: list[float] = []
        for step, value in enumerate(values, first_step):
            if not self.known.has_point(attempt, key, step):
                new.append(float(value))
            elif new:
                self.append(entries.series(key, step - len(new), new, attempt))
                new = []
        if new:
            self.append(entries.series(key, first_step + len(values) - len(new), new, attempt))

    def params(self, params: Mapping[str, Any]) -> None:
        """Keeps nested params, those that aren't known."""
        flat = {key: value for key, value in limits.flatten(params).items() if key not in self.known.params}
        for some in limits.chunks(list(flat.items()), limits.MAX_PARAMS):
            self.append(entries.params(dict(some)))

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Keeps tags."""
        short = [(key, limits.shorten(str(value), limits.MAX_TAG_LENGTH)) for key, value in tags.items()]
        for some in limits.chunks(short, limits.MAX_PARAMS):
            self.append(entries.tags(dict(some)))

    def artifact(self, artifact_path: str, write: Callable[[Path], Any]) -> None:
        """Keeps the file that `write` makes at the path it is given."""
        folder, _, name = artifact_path.rpartition("/")
        if path := self._add_to_spool(artifact_path, name, write):
            self.append(entries.artifact(path, folder or None, spooled=True))

    def text(self, text: str, artifact_path: str) -> None:
        """Keeps a text as an artifact."""
        self.artifact(artifact_path, lambda path: path.write_text(text, encoding="utf-8"))

    def model(self, step: int, write: Callable[[Path], Any]) -> None:
        """Keeps the model that `write` saves in the folder it is given, unless one of this step is known."""
        if step not in self.known.models and not self.worker.opening_error:
            import_mlflow()
            if path := self._add_to_spool("the model", "model", write):
                self.append(entries.model(path, step))

    def close(self, status: str, patience: float) -> None:
        """Ends the run and returns when all is sent, or kept for later.

        Raises:
            TrackingError: saying what couldn't be sent and why.
        """
        self._closing = True
        if self._monitor:
            self._monitor.finish()
        self.append(entries.end(status))
        has_ended = self.worker.close(patience)
        waiting = self.journal.count_unsent()
        if has_ended:  # else a thread may wake up some time and look for the files
            self.journal.close()
        if self.worker.opening_error:
            raise self.worker.opening_error
        told = []
        if self._sender.failures:
            told.append(writing_error(self._sender.failures, self._folder.id))
        if waiting:
            why = self.worker.last_error, self._sender.refused
            told.append(waiting_error(self._folder.id, waiting, self._folder.tracking, self._store, *why))
        for error in told[:-1]:
            warn(str(error))
        if told:
            raise told[-1]

    def _add_to_spool(self, what: str, name: str, write: Callable[[Path], Any]) -> Path | None:
        """Returns where a file is kept; None if there is no space, which the end of the run will say."""
        try:
            return self._spool.add(name, write)
        except OSError as error:
            self._sender.failures.setdefault(what, error)
            return None

    def _prepare(self) -> None:
        """Collects what takes long, on the worker's thread: the environment, and the system's metrics from now on."""
        psutil.cpu_percent()  # its first answer is always 0; the system metrics are to start with the second
        if "requirements.txt" not in self.known.artifacts:
            self.tags(environment.tags())
            self.text(environment.requirements(), "requirements.txt")
            for name, diff in environment.git_diffs().items() if self._git_diff else ():
                self.text(diff, name)
        if self._system_metrics:
            import_mlflow()
            from kerasdl.tracking.system_metrics import JournaledSystemMetrics

            self._monitor = JournaledSystemMetrics(
                lambda values, sample: self.append(entries.system(values, sample)), self.known.next_sample
            )
            self._monitor.start()
            if self._closing:  # by the other thread, which may have been too early to see the monitor
                self._monitor.finish()
