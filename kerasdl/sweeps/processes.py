"""Trials at once, each in a fresh process with its own share of the machine.

Where processes can be forked safely, they are forked from one that has imported everything and done nothing (Python's
fork server): a trial then begins in a fraction of a second instead of six. Where GPUs are, or elsewhere than on Linux,
each is spawned: drivers don't survive a fork everywhere.
"""

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from kerasdl.sweeps import worker
from kerasdl.sweeps.worker import Ended, Evaluation, Job

# A trial that was asked to stop and didn't: TensorFlow may hang, or a disk.
STOP_SECONDS = 60.0
# The environment variable that tells the process that trials are forked from whose it is.
SWEEP_PROCESS = "KERASDL_SWEEP_PROCESS"
# Behind its last word a trial has nothing to do but to exit.
_EXIT_SECONDS = 10.0


@dataclass
class Process:
    """A running trial's process.

    Attributes:
        number: the trial's.
        slot: which share of the machine it has, in [0, jobs).
        began: when, by `time.monotonic`.
        asked: when it was asked to stop, and why; None if it wasn't.
        is_mute: whether it has closed its end of the connection, and will only end.
    """

    number: int
    slot: int
    handle: Any
    connection: Connection
    began: float = field(default_factory=time.monotonic)
    asked: tuple[float, str] | None = None
    is_mute: bool = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class Processes:
    """Starts processes of trials, and tells what they say and how they end.

    Args:
        jobs: how many at once.
        gpus: indices of the GPUs to share out; () if there are none.
        cores: processor cores to share out.
    """

    def __init__(self, jobs: int, gpus: tuple[str, ...], cores: int):
        self.jobs = jobs
        self.running: dict[int, Process] = {}
        self._gpus = gpus
        self.threads = max(1, cores // jobs)
        forks = sys.platform == "linux" and not gpus
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            self._context.set_forkserver_preload(["kerasdl.sweeps.preload"])
            os.environ[SWEEP_PROCESS] = str(os.getpid())

    def warm_up(self) -> None:
        """Begins to import, in the process that trials are forked from, what they will need."""
        if self._context.get_start_method() == "forkserver":
            from multiprocessing import forkserver

            with _deaf_to_hangups():
                forkserver.ensure_running()

    def share(self) -> str:
        """Returns in words what each trial gets of the machine."""
        if self._gpus:
            each = len(self._gpus) // self.jobs
            return f"{each} GPU{'s' if each > 1 else ''}" if each else f"a part of {len(self._gpus)} GPUs"
        return f"{self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def has_room(self) -> bool:
        return len(self.running) < self.jobs

    def start(self, number: int, **job: Any) -> None:
        """Starts a trial; `job` are the attributes of `Job` but its share of the machine."""
        taken = {process.slot for process in self.running.values()}
        slot = next(slot for slot in range(self.jobs) if slot not in taken)
        ours, theirs = self._context.Pipe()
        arguments = (theirs, Job(**job, threads=self.threads, gpus=self._share(slot)))
        handle = self._context.Process(target=worker.main, args=arguments, name=f"trial {number}")
        with _deaf_to_hangups():
            handle.start()
        theirs.close()
        self.running[number] = Process(number, slot, handle, ours)

    def events(self, timeout: float) -> Iterator[tuple[Process, Evaluation | Ended]]:
        """Yields what trials say, waiting up to `timeout` seconds; one that has ended is not running any more.

        An `Evaluation` has to be answered with `answer`.
        """
        if not self.running:
            time.sleep(timeout)  # for what other machines do, of which nothing comes here
            return
        waited: list[Any] = []
        for process in self.running.values():
            waited += [process.handle.sentinel] if process.is_mute else [process.connection, process.handle.sentinel]
        ready = set(wait(waited, timeout))
        for process in list(self.running.values()):
            if process.connection in ready or process.handle.sentinel in ready:
                yield from self._read(process)

    def _read(self, process: Process) -> Iterator[tuple[Process, Evaluation | Ended]]:
        try:
            while process.connection.poll():
                message = process.connection.recv()
                if isinstance(message, Ended):
                    yield process, self._end(process, message)
                    return
                yield process, message
        except (EOFError, OSError):
            process.is_mute = True
        if not process.handle.is_alive():
            yield process, self._end(process, None)

    def answer(self, process: Process, stop: bool) -> None:
        """Answers a trial's evaluation."""
        with contextlib.suppress(OSError):  # it has died since
            process.connection.send(stop)

    def stop(self, processes: Iterable[Process], why: str) -> None:
        """Asks trials to stop at their next checkpoint; who doesn't within `STOP_SECONDS` is killed by `enforce`."""
        for process in processes:
            if process.asked is None:
                process.asked = time.monotonic(), why
                _signal(process, signal.SIGTERM)

    def enforce(self) -> None:
        """Kills trials that were asked to stop long ago."""
        for process in self.running.values():
            if process.asked and time.monotonic() - process.asked[0] > STOP_SECONDS:
                _signal(process, signal.SIGKILL)

    def kill(self) -> None:
        """Ends all trials at once."""
        for process in list(self.running.values()):
            _signal(process, signal.SIGKILL)
            self._end(process, None)

    def _end(self, process: Process, ended: Ended | None) -> Ended:
        """Returns how a process ended: by its last word, else by its exit code."""
        process.handle.join(_EXIT_SECONDS if ended else None)
        if process.handle.is_alive():  # it has said its last word and hangs
            _signal(process, signal.SIGKILL)
            process.handle.join()
        process.connection.close()
        code = process.handle.exitcode
        process.handle.close()
        del self.running[process.number]
        if ended:
            return ended
        if process.asked and code in (-signal.SIGTERM, -signal.SIGKILL):
            return Ended("KILLED", seconds=process.seconds)
        if code == -signal.SIGKILL:
            error = "its process was killed (SIGKILL), perhaps because memory ran out"
        elif code < 0:
            error = f"its process died of {signal.Signals(-code).name}"
        else:
            error = f"its process ended without a word, with exit code {code}"
        return Ended("FAILED", seconds=process.seconds, error=error)

    def _share(self, slot: int) -> tuple[str, ...] | None:
        if not self._gpus:
            return None
        each = max(1, len(self._gpus) // self.jobs)
        first = slot * each % len(self._gpus)
        return self._gpus[first : first + each]


@contextlib.contextmanager
def _deaf_to_hangups() -> Iterator[None]:
    """Lets what is started within live on when the terminal is closed, until the sweep has asked its trials to save.

    It inherits that SIGHUP is blocked; one that comes to this process meanwhile arrives at the end.
    """
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def visible_gpus() -> tuple[str, ...]:
    """Returns the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip() and name.strip() != "-1")
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    # Lines of a GPU's parts (MIG) are indented.
    return tuple(re.findall(r"^GPU (\d+):", listed, re.MULTILINE))


def cores() -> int:
    """Returns the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _signal(process: Process, number: int) -> None:
    """Sends a trial a signal; one that kills goes to what the trial has started as well, its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if number == signal.SIGKILL and os.getpgid(process.handle.pid) == process.handle.pid:
            os.killpg(process.handle.pid, number)
        else:
            os.kill(process.handle.pid, number)
