"""Whether a trial's owner is still alive: by its process on this machine, by its heartbeat on other machines."""

import functools
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import psutil

# Two processes with the same id start further apart than this.
_CLOCK_SECONDS = 3.0


@functools.cache
def machine() -> str:
    """Returns a name that no other machine has, and that is the same after a restart of this one."""
    node = uuid.getnode()
    # Without a network card Python invents a number, a different one in each process, and marks it with this bit.
    return socket.gethostname() if node >> 40 & 1 else f"{socket.gethostname()}-{node:012x}"


def this_process() -> dict[str, Any]:
    """Returns what identifies this process among all machines; plain JSON."""
    began = psutil.Process().create_time()
    return {"machine": machine(), "host": socket.gethostname(), "pid": os.getpid(), "began": began}


def has_ended(owner: Mapping[str, Any]) -> bool:
    """Returns whether `owner` (of `this_process`) is known to have ended; False for processes of other machines."""
    if owner.get("machine") != machine():
        return False
    try:
        process = psutil.Process(owner["pid"])
        # A zombie is still listed. The start of a process is counted from the start of the machine, whose time moves a
        # little when the clock is set.
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - owner["began"]) > _CLOCK_SECONDS
    except psutil.NoSuchProcess:
        return True


class HeartbeatMonitor:
    """Finds trials whose heartbeat has stopped, by this machine's clock alone: clocks of two machines need not agree.

    Args:
        patience: seconds without a heartbeat after which a trial's machine is taken for dead. They are counted from
            when the trial is first seen here.
        now: the clock, in seconds.
    """

    def __init__(self, patience: float, now: Callable[[], float] = time.monotonic):
        self._patience = patience
        self._now = now
        self._seen: dict[int, tuple[Any, float]] = {}

    def silent(self, heartbeats: Mapping[int, Any]) -> list[int]:
        """Returns the trials whose heartbeat hasn't changed for longer than the patience.

        Args:
            heartbeats: by trial, of all that other machines work on now. A trial that is missing is forgotten: when it
                is worked on again, its patience begins anew.
        """
        now, before = self._now(), self._seen
        self._seen = {
            trial: before[trial] if trial in before and before[trial][0] == heartbeat else (heartbeat, now)
            for trial, heartbeat in heartbeats.items()
        }
        return [trial for trial, (_, since) in self._seen.items() if now - since > self._patience]
