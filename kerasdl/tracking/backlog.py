"""Sends what a run left behind when its store was unavailable or it was killed, and ends a run whose process died."""

from collections.abc import Callable

from kerasdl.errors import TrackingError
from kerasdl.tracking import entries
from kerasdl.tracking.failures import is_temporary, opening_error, waiting_error, writing_error
from kerasdl.tracking.journal import Journal
from kerasdl.tracking.local_run import LocalRun
from kerasdl.tracking.sender import Sender
from kerasdl.tracking.spool import Spool
from kerasdl.tracking.store import Store, require


def end_dead_run(folder: LocalRun, located: Store, status: str, trace: str) -> None:
    """Ends a run whose process died before it could.

    Args:
        folder: the run's; it is locked meanwhile.
        located: the store that the configuration names.
        status: "FAILED" or "KILLED".
        trace: why, kept as artifact `error/traceback.txt`.

    Raises:
        ResumeError: another process works on the run.
        TrackingError: it couldn't be sent; `kerasdl.sync` can, later.
    """
    folder.lock()
    try:
        folder.update(status=status)
        journal = Journal(folder.tracking)
        try:
            path = Spool(folder.tracking).add("traceback.txt", lambda path: path.write_text(trace, encoding="utf-8"))
            journal.append(entries.artifact(path, "error", spooled=True))
            journal.append(entries.end(status))
        finally:
            journal.close()
        send_backlog(folder, located, lambda sent, total: None)
    finally:
        folder.unlock()


def send_backlog(folder: LocalRun, located: Store, progress: Callable[[int, int], None]) -> int:
    """Sends everything in a run's journal that the store doesn't have; creates the run in MLflow if there is none.

    Args:
        folder: the run's; its lock is held.
        located: the store that the configuration names. It is used if the run's record names none, or one whose
            password it doesn't keep.
        progress: called after each call to MLflow, with bytes sent and bytes to send.

    Returns:
        The number of entries that were sent.

    Raises:
        TrackingError: something is left, or was refused; says what to do.
    """
    store = _recorded_store(folder, located)
    tracking = folder.record.config.get("tracking", {})
    journal = Journal(folder.tracking)
    try:
        Spool(folder.tracking).remove_all_but(journal.waiting())
        count, begin = journal.count_waiting(), journal.sent
        sender = Sender(
            store,
            folder,
            journal,
            experiment=folder.record.experiment or tracking["experiment"],
            run_name=tracking.get("run_name"),
        )
        try:
            sender.open()
            for offset in sender.send():
                progress(offset - begin, journal.end - begin)
            for _ in sender.send_refused():
                progress(journal.end - begin, journal.end - begin)
        except Exception as error:
            if is_temporary(error):
                raise waiting_error(folder.id, journal.count_waiting(), folder.tracking, store, error) from error
            if sender.run_id is None:
                raise opening_error(error, store) from error
            raise
        if left := journal.count_waiting():
            raise waiting_error(folder.id, left, folder.tracking, store, None, sender.refusals)
        if sender.failures:
            raise writing_error(sender.failures, folder.id)
        return count
    finally:
        journal.close()


def _recorded_store(folder: LocalRun, located: Store) -> Store:
    """Returns the store that the run's record names; `located` if it names none, or hides a password of the same one.

    Raises:
        TrackingError: the recorded store can't be used, or its password is missing.
    """
    address = folder.tracking_uri
    if address is None or address == located.address:
        store = located
    elif "***" in address:
        raise TrackingError(
            f"tracking.uri must be given, with its password, for run {folder.id}, which is in {address}. "
            f"Received: '{located.address}'."
        )
    else:
        store = Store(address, located.output_dir, "tracking.uri")
    if store.database:  # a server that doesn't answer now may be back when the sender needs it
        try:
            require(store) if folder.record.run_id else store.check()
        except TrackingError as error:
            if store is located:
                raise
            raise TrackingError(
                f"run {folder.id} is in {store.describe()}, which can't be used: {error} The store that the command "
                f"names, {located.address}, is another one. Restore the former, and run the same command again."
            ) from error
    return store
