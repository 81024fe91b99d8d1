"""Who works on a trial: this process, a dead one of this machine, or another machine, known by its heartbeat only."""

import functools
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import psutil

# Two processes of one number begin further apart than this.
_CLOCK_SECONDS = 3.0


@functools.cache
def machine() -> str:
    """Returns a name that no other machine has, and that outlives a restart of this one."""
    node = uuid.getnode()
    # Without a network card Python makes a number up, another one in each process; it is marked by this bit.
    return socket.gethostname() if node >> 40 & 1 else f"{socket.gethostname()}-{node:012x}"


def this_process() -> dict[str, Any]:
    """Returns what identifies this process among all machines; plain JSON."""
    began = psutil.Process().create_time()
    return {"machine": machine(), "host": socket.gethostname(), "pid": os.getpid(), "began": began}


def is_dead(owner: Mapping[str, Any]) -> bool:
    """Returns whether `owner` is a process of this machine that has ended; False for other machines: who knows."""
    if owner.get("machine") != machine():
        return False
    try:
        process = psutil.Process(owner["pid"])
        # One that nobody waited for is still listed. When a process began is counted from the machine's start, whose
        # time moves a little when the clock is set.
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - owner["began"]) > _CLOCK_SECONDS
    except psutil.NoSuchProcess:
        return True


class Pulse:
    """Watches other machines' heartbeats by this machine's clock: who shows the same for too long is gone.

    Clocks of two machines need not agree; who is looked at for the first time has the whole patience ahead.

    Args:
        patience: seconds without a beat.
        now: the clock, in seconds.
    """

    def __init__(self, patience: float, now: Callable[[], float] = time.monotonic):
        self._patience = patience
        self._now = now
        self._seen: dict[int, tuple[Any, float]] = {}

    def gone(self, signs: Mapping[int, Any]) -> list[int]:
        """Returns the trials whose sign of life hasn't changed for longer than the patience.

        Args:
            signs: of all trials that other machines work on now; what is missing is forgotten, so that it has the whole
                patience ahead when it is worked on again.
        """
        now, before = self._now(), self._seen
        self._seen = {
            trial: before[trial] if trial in before and before[trial][0] == sign else (sign, now)
            for trial, sign in signs.items()
        }
        return [trial for trial, (_, since) in self._seen.items() if now - since > self._patience]
