"""Who works on a trial: this process, a dead one of this machine, or another machine, known by its heartbeat only."""

import functools
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import psutil


@functools.cache
def machine() -> str:
    """Returns a name that no other machine has, and that outlives a restart of this one."""
    return f"{socket.gethostname()}-{uuid.getnode():012x}"


def this_process() -> dict[str, Any]:
    """Returns what identifies this process among all machines; plain JSON."""
    return {"machine": machine(), "host": socket.gethostname(), "pid": os.getpid(), "began": _began(os.getpid())}


def is_dead(owner: Mapping[str, Any]) -> bool:
    """Returns whether `owner` is a process of this machine that has ended; False for other machines: who knows."""
    if owner.get("machine") != machine():
        return False
    try:
        return _began(owner["pid"]) != owner["began"]
    except psutil.NoSuchProcess:
        return True


def _began(pid: int) -> float:
    return psutil.Process(pid).create_time()


class Pulse:
    """Watches other machines' heartbeats by this machine's clock: whose count stands still is gone.

    Clocks of two machines need not agree; who is looked at for the first time has the whole patience ahead.

    Args:
        patience: seconds without a beat.
        now: the clock, in seconds.
    """

    def __init__(self, patience: float, now: Callable[[], float] = time.monotonic):
        self._patience = patience
        self._now = now
        self._seen: dict[int, tuple[int, float]] = {}

    def is_gone(self, trial: int, beat: int) -> bool:
        """Returns whether the trial's count has been `beat` for longer than the patience."""
        before, since = self._seen.get(trial, (None, 0.0))
        if before != beat:
            self._seen[trial] = (beat, self._now())
            return False
        return self._now() - since > self._patience
