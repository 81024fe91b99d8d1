"""Signals that stop cleanly: the first makes the loop stop after its call, a second Ctrl-C ends the process at once.

A terminal that is closed, or an ssh connection that is lost, sends SIGHUP. From then on writing to the terminal fails,
so further output is discarded: an error must not prevent the state from being saved.
"""

import contextlib
import os
import select
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

# The value of `Interrupts.requested` when not a signal but a pruner ends the run.
PRUNED = "PRUNED"
# Signals after which the system may soon kill the process: there is time to save the state, and for nothing else.
URGENT = ("SIGTERM", "SIGHUP")
_STANDARD_STREAMS = (0, 1, 2)


class Interrupts:
    """Turns SIGINT (Ctrl-C), SIGTERM (preemption, `kill`) and SIGHUP (a closed terminal) in a `with` block into
    `requested`.

    A SIGHUP that is ignored stays ignored: that is how `nohup` works. Outside the main thread, where Python allows no
    signal handlers, nothing is changed.

    Attributes:
        second: handles the second SIGINT. In a notebook it raises KeyboardInterrupt; the command line sets it to the
            system's own handler, which ends the process even while TensorFlow computes or a file is uploaded.
        requested: the signal that came, `SIGINT`, `SIGTERM` or `SIGHUP`; None if none did. Other code may set it
            to stop training.

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
            for number in (signal.SIGINT, signal.SIGTERM, *_hangup()):
                self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        is_command_line = self.second is signal.SIG_DFL
        for number, handler in self._previous.items():
            if self.requested and is_command_line and number == signal.SIGINT:
                continue  # after a first Ctrl-C, the second one ends the process, also outside the block
            if self.requested and is_command_line and number in _hangup():
                handler = signal.SIG_IGN  # a closed terminal sends it twice: from the shell and from the system
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = signal.Signals(number).name
        signal.signal(signal.SIGINT, self.second)
        if number in _hangup():
            _leave_terminal()
        hint = "Press Ctrl-C again to stop at once." if number == signal.SIGINT else "The run can be resumed."
        # The terminal may be gone, or be in the middle of a write: stopping matters more than the message.
        with contextlib.suppress(OSError, RuntimeError):
            print(f"\n{self._notice} {hint}", file=sys.stderr, flush=True)


def _hangup() -> tuple[int, ...]:
    """Returns SIGHUP, where the system has it and it isn't ignored."""
    number = getattr(signal, "SIGHUP", None)
    return () if number is None or signal.getsignal(number) is signal.SIG_IGN else (number,)


def _leave_terminal() -> None:
    """Redirects standard streams whose terminal is gone to the null device; files, pipes and a live terminal stay."""
    poll = select.poll()
    for stream in _STANDARD_STREAMS:
        poll.register(stream, 0)
    gone = [stream for stream, event in poll.poll(0) if event & select.POLLHUP]
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in gone:
        os.dup2(nowhere, stream)
    os.close(nowhere)
