"""The thread that sends a journal while training runs, and how long the end of a run waits for it.

Training must not wait for a database or a server: it appends to the journal and wakes this thread. The thread pauses
between two rounds so that metrics gather into few batches, and tries again while a store is unavailable. It may be
abandoned at any time, since everything is on disk; `kerasdl.sync` or the resumed run sends the rest.
"""

import threading
import time
from collections.abc import Callable
from itertools import chain

from kerasdl.console import say, warn
from kerasdl.errors import TrackingError
from kerasdl.tracking.failures import is_temporary, opening_error, unavailable
from kerasdl.tracking.journal import Journal
from kerasdl.tracking.sender import Sender
from kerasdl.tracking.store import Store

PAUSE_SECONDS = 1.0
# The pause before another try: after the first failure (a connection may just have timed out), during training, and at
# the end of a run, for which somebody waits.
FIRST_RETRY_SECONDS = 0.5
RETRY_SECONDS = 5.0
FINAL_RETRY_SECONDS = 1.0
# How long the end of a run waits for a store that is unavailable; a call that hangs gets `HANGING_FACTOR` times that.
PATIENCE_SECONDS = 20.0
HANGING_FACTOR = 3
MIN_HANGING_SECONDS = 5.0


class Worker:
    """Sends the journal of one run on a daemon thread.

    Args:
        sender: of the run.
        journal: of the run.
        store: where the sender sends to, for messages about it.
        prepare: called first, on the thread.

    Attributes:
        opening_error: why the run can't be opened, if another try wouldn't help; None as long as it may be opened.
        last_error: the temporary failure that keeps entries from being sent; None if there is none.
    """

    def __init__(self, sender: Sender, journal: Journal, store: Store, prepare: Callable[[], None]):
        self.opening_error: TrackingError | None = None
        self.last_error: Exception | None = None
        self._sender = sender
        self._journal = journal
        self._store = store
        self._prepare = prepare
        self._opening_tried = threading.Event()
        self._work_is_there = threading.Event()
        self._closing = threading.Event()
        self._patience = PATIENCE_SECONDS
        self._progress_at = time.monotonic()
        self._failed_tries = 0
        self._outage_reported = False
        self._thread = threading.Thread(target=self._work, name="kerasdl-tracking", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Tells the thread that the journal has a new entry."""
        self._work_is_there.set()

    def wait_until_opened(self) -> None:
        """Returns when the run is open, or the first try to open it has failed."""
        self._opening_tried.wait()

    def close(self, patience: float) -> bool:
        """Returns when everything has been sent or patience is over; returns whether the thread has ended.

        Args:
            patience: seconds to wait for a store that is unavailable. While it answers, sending may take any time.
        """
        if self.last_error and patience >= FINAL_RETRY_SECONDS:
            say(f"waiting up to {patience:g} s for {self._store.describe()} ...")
        self._patience = patience
        self._progress_at = time.monotonic()
        self._closing.set()
        self._work_is_there.set()
        while self._thread.is_alive():
            # A call that hangs can't be ended from here; its entries stay in the journal.
            allowed = max(HANGING_FACTOR * patience, MIN_HANGING_SECONDS)
            allowed += self._sender.allowance if patience else 0.0
            left = self._progress_at + allowed - time.monotonic()
            if left <= 0:
                self._sender.abandoned.set()
                return False
            self._thread.join(left)
        return True

    def _work(self) -> None:
        try:
            self._prepare()
        except Exception as error:
            self._sender.failures["the environment"] = error
        try:
            while self._send():
                pass
        finally:
            self._opening_tried.set()

    def _send(self) -> bool:
        """Sends what there is; returns whether to call it again."""
        closing = self._closing.is_set()
        try:
            if self._sender.run_id is None:
                self._sender.open()
                self._opening_tried.set()
            if self._sender.abandoned.is_set():
                return False
            for _ in chain(self._sender.send(), self._sender.send_refused() if closing else ()):
                self._note_progress()
        except Exception as error:
            return self._handle(error)
        if self._sender.abandoned.is_set():
            return False
        self._note_progress()
        if closing:
            self._sender.send_from_memory()
            return False
        self._work_is_there.wait()
        self._work_is_there.clear()
        self._closing.wait(PAUSE_SECONDS)
        return True

    def _note_progress(self) -> None:
        self._progress_at = time.monotonic()
        self._failed_tries = 0
        self.last_error = None
        if self._outage_reported:
            self._outage_reported = False
            say(f"{self._store.describe()} is available again; the waiting entries are being sent")

    def _handle(self, error: Exception) -> bool:
        """Waits after a failure; returns whether to try again."""
        if not is_temporary(error):
            if self._sender.run_id is None:
                self.opening_error = opening_error(error, self._store)
            else:
                self._sender.failures["metrics"] = error
            return False
        self.last_error = error
        self._opening_tried.set()
        self._failed_tries += 1
        if self._closing.is_set():
            left = self._progress_at + self._patience - time.monotonic()
            if left > 0:
                self._sender.abandoned.wait(min(left, FINAL_RETRY_SECONDS))
            return left > 0
        # A single failure of a server may come from a connection that was idle for too long.
        if self._failed_tries == (2 if self._store.is_server else 1):
            self._outage_reported = True
            warn(unavailable(self._store, error, self._journal.path.parent))
        self._closing.wait(FIRST_RETRY_SECONDS if self._failed_tries == 1 else RETRY_SECONDS)
        return True
