"""Sends a journal to MLflow, so that whatever happens each entry has its effect there exactly once.

Sending an entry again does no harm (`entry_writer`), and a run is found again by a tag. So `Journal.sent` may lag
behind the truth, but never runs ahead of it. A store that is unavailable holds everything up. What the store refuses
while it takes the rest is set aside and sent later. Only a value that MLflow can never store is left out. How often to
send, and what a failure means for the run, is decided in `worker` and `backlog`.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from kerasdl.tracking import deleted, entries, environment, limits
from kerasdl.tracking.entries import Entry, Point
from kerasdl.tracking.entry_writer import EntryWriter
from kerasdl.tracking.failures import is_temporary, is_unavailable
from kerasdl.tracking.journal import Journal, StoredEntry
from kerasdl.tracking.local_run import LocalRun
from kerasdl.tracking.spool import Spool
from kerasdl.tracking.store import LOCK_TIMEOUT_SECONDS, Store, experiment_id

RUN_TAG = "kerasdl.run"


class Batch(NamedTuple):
    """What is sent before `sent` advances to `end`: metric points, or an entry of another kind.

    Attributes:
        points: of one or more entries.
        entry: None if there are points.
        offsets: where the entries begin in the journal.
        end: where the last one ends.
    """

    points: list[Point]
    entry: Entry | None
    offsets: list[int]
    end: int


class Sender:
    """Sends the journal of one run; one thread uses it.

    Args:
        store: where the run is, or will be.
        folder: the run's; its lock is held.
        journal: the run's, open.
        experiment: name of MLflow's experiment for a new run.
        run_name: MLflow's name for a new run; None lets MLflow invent one.

    Attributes:
        run_id: MLflow's run id; None until `open` has returned.
        failures: the errors of what can never be stored, by what it was.
        refusals: the errors of what the store refused and may take another time, by what it was.
        abandoned: set when nobody waits for this sender any more, and another one may be at work.
    """

    def __init__(
        self, store: Store, folder: LocalRun, journal: Journal, *, experiment: str, run_name: str | None = None
    ):
        self.run_id: str | None = None
        self.failures: dict[str, Exception] = {}
        self.refusals: dict[str, Exception] = {}
        self.abandoned = threading.Event()
        self._store = store
        self._folder = folder
        self._journal = journal
        self._spool = Spool(folder.tracking)
        self._experiment = experiment
        self._run_name = run_name
        self._writer: EntryWriter | None = None
        self._opening_allowance = 0.0

    @property
    def allowance(self) -> float:
        """Seconds that the call under way may take, beyond what any call may."""
        return self._writer.allowance if self._writer else self._opening_allowance

    def open(self) -> None:
        """Opens the store and the run: the one that the record names, else one with the folder's tag, else a new one.

        Takes seconds. May be called again after a failure.

        Raises:
            Exception: whatever MLflow raises; `is_temporary` says whether another try may help.
        """
        self._opening_allowance = LOCK_TIMEOUT_SECONDS  # other processes may be creating the same store
        client = self._store.connect()
        run_id = self._folder.record.run_id
        run = client.get_run(run_id) if run_id else self._find_or_create_run(client)
        if run.info.lifecycle_stage != deleted.ACTIVE:
            raise deleted.run_error(self._store, run.info.run_id)
        if self.abandoned.is_set():
            return
        self._folder.update(
            run_id=run.info.run_id, tracking_uri=self._store.address, experiment=self._experiment
        )  # fmt: skip
        self.attach(client, run)

    def attach(self, client: Any, run: Any) -> None:
        """Sends to this run of MLflow from now on."""
        self._writer = EntryWriter(client, run, self._spool, self.failures)
        self.run_id = run.info.run_id

    def send(self) -> Iterator[int]:
        """Sends what is in the journal by now, and yields the journal's offset after each call to MLflow.

        What MLflow can never store is left out, and its error kept in `failures`; what it refuses otherwise is set
        aside, and its error kept in `refusals`.

        Raises:
            Exception: the store is unavailable; nothing is lost, and another `send` begins where this one stopped.
        """
        end, stored = self._journal.unsent()
        for batch in _batches(stored):
            self._send_or_set_aside(batch)
            if self.abandoned.is_set():
                return
            self._journal.mark_sent(batch.end)
            yield batch.end
        self._journal.mark_sent(end)  # a damaged line at the end needn't be read again

    def send_refused(self) -> Iterator[int]:
        """Sends what the store has refused before, and yields after each call to MLflow; raises as `send` does.

        What a later entry has superseded (a newer file of the same name, a later end of the run) is left out.
        """
        for stored in list(self._journal.refused_entries()):
            if _is_superseded(stored.entry, self._journal.sent_after(stored)):
                self._forget(stored.entry, [stored.begin])
            else:
                self._send_or_set_aside(
                    Batch(entries.points(stored.entry), stored.entry, [stored.begin], stored.end)
                )  # fmt: skip
            if self.abandoned.is_set():
                return
            yield stored.end

    def send_from_memory(self) -> None:
        """Tries once to send what is only in memory, because the disk is full and the run is over."""
        for entry in self._journal.take_from_memory():
            try:
                self._write(entries.points(entry), entry)
            except Exception as error:
                self.failures.setdefault(entries.name(entry), error)

    def _send_or_set_aside(self, batch: Batch) -> None:
        name = entries.name(batch.entry) if batch.entry else "metrics"
        try:
            self._write(batch.points, batch.entry)
        except Exception as error:
            holds_up = is_unavailable if batch.entry and entries.has_file(batch.entry) else is_temporary
            if holds_up(error):
                raise
            self._journal.refused.add(batch.offsets)
            self.refusals[name] = error
            return
        self._forget(batch.entry, batch.offsets)
        self.refusals.pop(name, None)

    def _write(self, points: Sequence[Point], entry: Entry | None) -> None:
        assert self._writer, "the run is open"
        self._writer.write_points(points)
        if entry:
            self._writer.write(entry)

    def _forget(self, entry: Entry | None, offsets: Sequence[int]) -> None:
        """Deletes the file of an entry that needn't be sent any more."""
        if self.abandoned.is_set():
            return
        self._journal.refused.discard(offsets)
        if entry and entry.get("spooled"):
            self._spool.remove(entry)

    def _find_or_create_run(self, client: Any) -> Any:
        """Returns the run that was created for this folder before the record could name it, else a new one."""
        experiment = experiment_id(client, self._experiment, self._store)
        found = client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{self._folder.name}'", max_results=1)
        if found:
            return found[0]
        created = datetime.fromisoformat(self._folder.record.created)
        return client.create_run(
            experiment,
            start_time=int(created.timestamp() * 1000),
            run_name=self._run_name,
            tags={RUN_TAG: self._folder.name, "mlflow.user": environment.user()},
        )


def _batches(stored_entries: Iterable[StoredEntry]) -> Iterator[Batch]:
    """Gathers the points of consecutive entries, as many as MLflow takes in one call."""
    gathered = Batch([], None, [], 0)
    for stored in stored_entries:
        more = entries.points(stored.entry)
        if gathered.points and (not more or len(gathered.points) + len(more) > limits.MAX_METRICS):
            yield gathered
            gathered = Batch([], None, [], 0)
        if more:
            gathered = Batch(gathered.points + more, None, [*gathered.offsets, stored.begin], stored.end)
        else:
            yield Batch([], stored.entry, [stored.begin], stored.end)
    if gathered.points:
        yield gathered


def _is_superseded(entry: Entry, later: Iterable[Entry]) -> bool:
    """Returns whether something that was sent later has taken an entry's place."""
    if entry["kind"] == "artifact":
        name = entries.name(entry)
        return any(other["kind"] == "artifact" and entries.name(other) == name for other in later)
    return entry["kind"] in ("resumption", "end") and any(other["kind"] in ("resumption", "end") for other in later)
