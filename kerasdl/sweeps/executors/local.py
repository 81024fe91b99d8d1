"""Trials on this machine, each in a fresh process with its own share of the cores or GPUs.

On Linux without GPUs, processes are forked from one that has imported everything and run nothing (Python's fork
server): a trial then begins in a fraction of a second instead of six. With GPUs, or elsewhere, each process is spawned,
because not every driver survives a fork.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from kerasdl.sweeps.executors import resources, worker
from kerasdl.sweeps.executors.executor import Ended, Evaluation, Event, TrialJob

# How long a trial that was asked to stop may take: TensorFlow may hang, or a disk.
STOP_SECONDS = 60.0
# This environment variable gives the sweep's process id to the process that trials are forked from.
SWEEP_PROCESS = "KERASDL_SWEEP_PROCESS"
# After its last message a trial has nothing left to do but exit.
_EXIT_SECONDS = 10.0


@dataclass
class _Worker:
    """The process of a running trial.

    Attributes:
        number: of the trial.
        slot: which share of the machine it has, in [0, slots).
        process: of `multiprocessing`.
        connection: to it.
        started: when, by `time.monotonic`.
        stopped: when it was asked to stop; None if it wasn't.
        has_closed: whether it has closed its end of the connection, and can only exit.
    """

    number: int
    slot: int
    process: Any
    connection: Connection
    started: float = field(default_factory=time.monotonic)
    stopped: float | None = None
    has_closed: bool = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class LocalExecutor:
    """Runs trials as processes of this machine (an `Executor`).

    Args:
        slots: trials at once, >= 1.
        gpus: names of the GPUs to share out, () for none; None shares out those that this process may use.
        cores: processor cores to share out; None shares out those that this process may use.
    """

    def __init__(self, slots: int, gpus: tuple[str, ...] | None = None, cores: int | None = None):
        self.slots = slots
        self._gpus = resources.visible_gpus() if gpus is None else gpus
        self._cores = resources.usable_cores() if cores is None else cores
        self._workers: dict[int, _Worker] = {}
        forks = sys.platform == "linux" and not self._gpus
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            self._context.set_forkserver_preload(["kerasdl.sweeps.executors.preload"])
            os.environ[SWEEP_PROCESS] = str(os.getpid())

    def describe(self) -> str:
        return resources.describe(self.slots, self._gpus, self._cores)

    def warm_up(self) -> None:
        if self._context.get_start_method() == "forkserver":
            from multiprocessing import forkserver

            with _hangups_blocked():
                forkserver.ensure_running()

    def start(self, job: TrialJob) -> None:
        taken = {trial.slot for trial in self._workers.values()}
        slot = next(slot for slot in range(self.slots) if slot not in taken)
        share = resources.share(slot, self.slots, self._gpus, self._cores)
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=worker.main, args=(theirs, job, share), name=f"trial {job.number}")
        with _hangups_blocked():
            process.start()
        theirs.close()
        self._workers[job.number] = _Worker(job.number, slot, process, ours)

    def events(self, timeout: float) -> Iterator[Event]:
        self._kill_overdue()
        if not self._workers:
            time.sleep(timeout)  # other machines may work on the sweep, and nothing from them arrives here
            return
        waited: list[Any] = []
        for trial in self._workers.values():
            waited += [trial.process.sentinel] if trial.has_closed else [trial.connection, trial.process.sentinel]
        ready = set(wait(waited, timeout))
        for trial in list(self._workers.values()):
            if trial.connection in ready or trial.process.sentinel in ready:
                yield from self._read(trial)

    def stop(self, number: int) -> None:
        trial = self._workers[number]
        if trial.stopped is None:
            trial.stopped = time.monotonic()
            _signal(trial, signal.SIGTERM)

    def close(self) -> None:
        for trial in list(self._workers.values()):
            _signal(trial, signal.SIGKILL)
            self._remove(trial)

    def _read(self, trial: _Worker) -> Iterator[Event]:
        try:
            while trial.connection.poll():
                message = trial.connection.recv()
                if isinstance(message, Ended):
                    self._remove(trial, _EXIT_SECONDS)
                    yield message
                    return
                epoch, step, metrics = message
                yield Evaluation(trial.number, epoch, step, metrics, _reply_to(trial))
        except (EOFError, OSError):
            trial.has_closed = True
        if not trial.process.is_alive():
            yield _end_of(trial, self._remove(trial))

    def _kill_overdue(self) -> None:
        """Kills trials that were asked to stop long ago."""
        for trial in self._workers.values():
            if trial.stopped is not None and time.monotonic() - trial.stopped > STOP_SECONDS:
                _signal(trial, signal.SIGKILL)

    def _remove(self, trial: _Worker, patience: float | None = None) -> int:
        """Waits until a process has ended, kills it after `patience` seconds, and returns its exit code."""
        trial.process.join(patience)
        if trial.process.is_alive():  # it has sent its last message and hangs
            _signal(trial, signal.SIGKILL)
            trial.process.join()
        trial.connection.close()
        code = trial.process.exitcode
        trial.process.close()
        del self._workers[trial.number]
        return code


def _end_of(trial: _Worker, code: int) -> Ended:
    """Returns how a trial ended that couldn't report it, by its process's exit code."""
    if trial.stopped is not None and code in (-signal.SIGTERM, -signal.SIGKILL):
        return Ended(trial.number, "KILLED", seconds=trial.seconds)
    if code == -signal.SIGKILL:
        error = "its process was killed (SIGKILL), perhaps because memory ran out"
    elif code < 0:
        error = f"its process was killed by {signal.Signals(-code).name}"
    else:
        error = f"its process ended without reporting a result, with exit code {code}"
    return Ended(trial.number, "FAILED", seconds=trial.seconds, error=error)


def _reply_to(trial: _Worker) -> Callable[[bool], None]:
    def reply(prune: bool) -> None:
        with contextlib.suppress(OSError):  # it has died since
            trial.connection.send(prune)

    return reply


@contextlib.contextmanager
def _hangups_blocked() -> Iterator[None]:
    """Lets processes that are started within it outlive the terminal until the sweep has asked its trials to save.

    They inherit that SIGHUP is blocked. One that arrives here meanwhile is delivered at the end.
    """
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal(trial: _Worker, number: int) -> None:
    """Sends a trial a signal; one that kills goes to its whole session, and so to what the trial has started, too."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if number == signal.SIGKILL and os.getpgid(trial.process.pid) == trial.process.pid:
            os.killpg(trial.process.pid, number)
        else:
            os.kill(trial.process.pid, number)
