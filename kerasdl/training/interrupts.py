"""Signals that stop cleanly: the first asks the loop to stop after its call, a second Ctrl-C ends it at once."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

# What `Interrupts.requested` says when no signal, but a pruner ends the run.
PRUNED = "PRUNED"


class Interrupts:
    """Turns SIGINT (Ctrl-C) and SIGTERM (preemption, `kill`) inside a `with` block into `requested`.

    Outside the main thread, where Python allows no signal handlers, nothing is changed.

    Attributes:
        second: what answers the second SIGINT. In a notebook a KeyboardInterrupt; the command line sets it to the
            system's own handler, which ends the process even while TensorFlow computes or a file is uploaded.
        requested: the signal that came, `SIGINT` or `SIGTERM`; None if none did. Whoever else wants training to stop
            may set it.

    Args:
        notice: what the first signal prints.
    """

    second: Any = staticmethod(signal.default_int_handler)

    def __init__(self, notice: str = "Stopping after this step.") -> None:
        self.requested: str | None = None
        self._notice = notice
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            # A Ctrl-C that came keeps what the next one does, until the process has ended.
            if not (number == signal.SIGINT and self.requested and self.second is signal.SIG_DFL):
                signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = signal.Signals(number).name
        signal.signal(signal.SIGINT, self.second)
        hint = "Ctrl-C again to stop at once." if number == signal.SIGINT else "The run can be resumed."
        print(f"\n{self._notice} {hint}", file=sys.stderr, flush=True)
