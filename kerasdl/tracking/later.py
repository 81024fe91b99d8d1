"""Sends what a run left behind when its store was away or it was killed, and ends a run that couldn't do so itself."""

from collections.abc import Callable

from kerasdl.runs import RunFolder
from kerasdl.tracking import entries
from kerasdl.tracking.failures import is_temporary, opening_error, waiting_error, writing_error
from kerasdl.tracking.journal import Journal
from kerasdl.tracking.recorded import recorded_store
from kerasdl.tracking.sender import Sender
from kerasdl.tracking.spool import Spool
from kerasdl.tracking.store import Store


def end_left(folder: RunFolder, located: Store, status: str, trace: str) -> None:
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
        send_waiting(folder, located, lambda sent, total: None)
    finally:
        folder.unlock()


def send_waiting(folder: RunFolder, located: Store, progress: Callable[[int, int], None]) -> int:
    """Sends all of a run's journal that the store hasn't got, and creates the run in MLflow if there is none.

    Args:
        folder: the run's; its lock is held.
        located: the store that the configuration names (`recorded_store` says when it is used).
        progress: called after each call to MLflow, with bytes sent and bytes to send.

    Returns:
        The number of entries that were sent.

    Raises:
        TrackingError: something is left, or was refused; says what to do.
    """
    store = recorded_store(folder, located)
    tracking = folder.record.config.get("tracking", {})
    journal = Journal(folder.tracking)
    try:
        Spool(folder.tracking).remove_all_but(journal.waiting())
        count, begin = journal.count_unsent(), journal.sent
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
            for _ in sender.send_aside():
                progress(journal.end - begin, journal.end - begin)
        except Exception as error:
            if is_temporary(error):
                raise waiting_error(folder.id, journal.count_unsent(), folder.tracking, store, error) from error
            if sender.run_id is None:
                raise opening_error(error, store) from error
            raise
        if left := journal.count_unsent():
            raise waiting_error(folder.id, left, folder.tracking, store, None, sender.refused)
        if sender.failures:
            raise writing_error(sender.failures, folder.id)
        return count
    finally:
        journal.close()
