"""A trial's own process: it trains, reports evaluations, and reports how it ended; without the sweep it saves and ends.

It is forked or spawned for one trial. TensorFlow must not be imported here before the process knows its GPUs.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path

from kerasdl.errors import UserError
from kerasdl.streams import lasting
from kerasdl.sweeps.executors.executor import Ended, TrialJob
from kerasdl.sweeps.executors.resources import Share

# How long a trial may take to save its state after the sweep's process has died.
_GRACE_SECONDS = 60.0


def main(connection: Connection, job: TrialJob, share: Share) -> None:
    """Runs a trial from the beginning of its process to the end.

    Args:
        connection: gets `(epoch, step, metrics)` at each evaluation, to which the answer is whether the trial is
            pruned, and `Ended` at last.
        job: the trial.
        share: of the machine.
    """
    # A session of its own: Ctrl-C in the terminal reaches the sweep only, which then asks its trials to stop.
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _redirect(job.log)
    threading.Thread(target=_stop_with_sweep, name="sweep's end", daemon=True).start()
    if share.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(share.gpus)

    def should_prune(epoch: int, step: int, metrics: Mapping[str, float]) -> bool:
        try:
            connection.send((epoch, step, dict(metrics)))
            return connection.recv()
        except (OSError, EOFError):
            return False  # the sweep is gone: `_stop_with_sweep` stops the trial

    with lasting():
        ended = run_trial(job, should_prune, share.threads)
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # the sweep is gone: the run's folder has the result
        connection.send(ended)


def run_trial(job: TrialJob, should_prune: Callable[[int, int, Mapping[str, float]], bool], threads: int) -> Ended:
    """Trains a trial in this process, and returns how it ended, whatever happened.

    Args:
        job: the trial.
        should_prune: called at each evaluation with epochs and steps that are done and the metrics; returns whether
            the trial ends there.
        threads: for TensorFlow, where the configuration leaves them open.
    """
    began = time.perf_counter()
    try:
        return _train(job, should_prune, threads)
    except BaseException as error:
        line = " ".join(str(error).split()) or type(error).__name__
        traceback.print_exc()
        return Ended(
            job.number,
            "FAILED",
            seconds=time.perf_counter() - began,
            error=line if isinstance(error, UserError) else f"{type(error).__name__}: {line}",
            trace=traceback.format_exc(),
        )


def _train(job: TrialJob, should_prune: Callable[[int, int, Mapping[str, float]], bool], threads: int) -> Ended:
    from kerasdl import experiment
    from kerasdl.config.identity import config_hash
    from kerasdl.sweeps.trial_runs import recorded_end

    if ended := recorded_end(job.config.paths.output_dir, job.name, job.number, _GRACE_SECONDS):
        return ended
    # Of all that decides the result, only source code can change while a sweep runs.
    if config_hash(job.config) != job.config_hash:
        raise UserError(
            "the source of the sweep's own code has changed since the sweep began. Run the same command again: it "
            "keeps results of the earlier source apart."
        )
    result = experiment.run(job.config, name=job.name, should_prune=should_prune, threads=threads)
    metrics = {**result.metrics, "parameters": float(result.model.count_params())}
    problems = " ".join(result.problems) or None
    return Ended(job.number, result.status, metrics, result.seconds, result.run_id, problems)


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
        text.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # whatever the terminal uses


def _stop_with_sweep() -> None:
    """Stops the trial at its next checkpoint when the sweep's process is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)
