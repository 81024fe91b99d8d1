"""Ctrl-C that stops cleanly: the first asks the loop to stop after its call, the second ends it at once."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Turns the first SIGINT inside a `with` block into `requested`.

    Outside the main thread, where Python allows no signal handlers, nothing is changed.

    Attributes:
        second: what answers the second SIGINT. In a notebook a KeyboardInterrupt; the command line sets it to the
            system's own handler, which ends the process even while TensorFlow computes or a file is uploaded.
    """

    second: Any = staticmethod(signal.default_int_handler)

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._previous is not None and not (self.requested and self.second is signal.SIG_DFL):
            signal.signal(signal.SIGINT, self._previous)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, self.second)
        print("\nStopping after this step. Ctrl-C again to stop at once.", file=sys.stderr, flush=True)
