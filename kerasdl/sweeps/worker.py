"""A trial's own process: what it runs, what it says, and how it ends, also when nobody is there any more to hear it.

It is forked, or spawned, for one trial. TensorFlow may not be imported here before the process knows its GPUs.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from kerasdl.errors import UserError
from kerasdl.streams import lasting

# After the sweeping process has died: what a trial may take to save its state.
_GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Job:
    """What a trial's process is given.

    Attributes:
        name: of the run's folder.
        config: the configuration, a typed DictConfig.
        config_hash: its identity when the trial was planned.
        threads: for TensorFlow, where the configuration leaves them open.
        gpus: indices of the GPUs that it may use; None leaves that to the environment.
        log: the file that gets what the trial prints.
    """

    name: str
    config: Any
    config_hash: str
    threads: int
    gpus: tuple[str, ...] | None
    log: Path


@dataclass(frozen=True)
class Evaluation:
    """Said at each evaluation; the answer, a bool, is whether to stop.

    Attributes:
        epoch: epochs that are done.
        step: training steps that are done.
        metrics: of the evaluation.
    """

    epoch: int
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Ended:
    """Said last.

    Attributes:
        status: `FINISHED`, `PRUNED`, `KILLED` (it can go on) or `FAILED`.
        metrics: of its end.
        seconds: how long it took.
        run_id: MLflow's.
        error: one line, if it failed; or what couldn't be kept, if it finished.
        trace: the traceback, if it failed.
    """

    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    run_id: str | None = None
    error: str | None = None
    trace: str | None = None


def main(connection: Connection, job: Job) -> None:
    """Runs a trial from its process's first to its last moment."""
    # A session of its own: Ctrl-C in the terminal is the sweep's to answer, which then asks its trials to stop.
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _redirect(job.log)
    threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
    if job.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(job.gpus)
    began = time.perf_counter()
    try:
        with lasting():
            ended = _run(connection, job)
    except BaseException as error:
        line = " ".join(str(error).split()) or type(error).__name__
        traceback.print_exc()
        ended = Ended(
            "FAILED",
            seconds=time.perf_counter() - began,
            error=line if isinstance(error, UserError) else f"{type(error).__name__}: {line}",
            trace=traceback.format_exc(),
        )
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # nobody listens any more: the run's folder knows how it ended
        connection.send(ended)


def _run(connection: Connection, job: Job) -> Ended:
    from kerasdl import experiment
    from kerasdl.config.identity import config_hash

    def judge(epoch: int, step: int, metrics: Mapping[str, float]) -> bool:
        try:
            connection.send(Evaluation(epoch, step, dict(metrics)))
            return connection.recv()
        except (OSError, EOFError):
            return False  # `_follow_parent` stops the trial

    if end := ended_before(job.config.paths.output_dir, job.name, _GRACE_SECONDS):
        return end
    # Of all that decides the result only source can change while a sweep runs.
    if config_hash(job.config) != job.config_hash:
        raise UserError(
            "the source of the sweep's own code has changed since the sweep began. Type the same command again: what "
            "was trained with the source as it was is kept apart."
        )
    result = experiment.run(job.config, name=job.name, judge=judge, threads=job.threads)
    metrics = {**result.metrics, "parameters": float(result.model.count_params())}
    return Ended(result.status, metrics, result.seconds, result.run_id, " ".join(result.problems) or None)


def ended_before(output_dir: str, name: str, patience: float | None = None) -> Ended | None:
    """Returns how a trial's run ended if it did, and only its sweep has not heard of it; else None.

    Args:
        output_dir: `paths.output_dir`.
        name: of the run's folder.
        patience: seconds to wait for another process that works on the run: the trial of a sweep that was killed a
            moment ago is still saving its state. None: it is known that there is none.

    Raises:
        ResumeError: another process works on the run for longer than that.
    """
    from kerasdl import runs

    folder = runs.folder_named(output_dir, name)
    if folder is None:
        return None
    if patience is not None:
        folder.lock(patience)
        folder.unlock()
    record = folder.record
    return Ended(record.status, record.metrics, 0.0, record.run_id) if record.status in ("FINISHED", "PRUNED") else None


def _redirect(log: Path) -> None:
    """Sends all output of the process, TensorFlow's too, to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    for text in (sys.stdout, sys.stderr):
        text.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # whatever the terminal has


def _follow_parent() -> None:
    """Stops the trial at its next checkpoint when the sweeping process is gone, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)
