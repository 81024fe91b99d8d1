"""Trials as processes of this machine, with something simpler than a training inside: events, and how they end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sweeping import attempts

from kerasdl.config.identity import config_hash
from kerasdl.errors import UserError
from kerasdl.sweeps.executors import local, worker
from kerasdl.sweeps.executors.executor import Ended, Evaluation, TrialJob
from kerasdl.sweeps.executors.local import LocalExecutor
from kerasdl.sweeps.executors.resources import usable_cores, visible_gpus


def job(number):
    return TrialJob(number, str(number), None, "0a1b2c3d4e5f6071", Path(os.devnull))


@pytest.fixture
def started(monkeypatch):
    """Makes executors whose trials run a given function instead of `worker.main`; none outlives the test."""
    made = []
    # A fork has the function that the test set; a fork server hasn't.
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(local.multiprocessing, "get_context", lambda method: forked)

    def make(main, slots=2, gpus=(), cores=8):
        monkeypatch.setattr(worker, "main", main)
        made.append(LocalExecutor(slots, gpus, cores))
        return made[-1]

    yield make
    for one in made:
        one.close()


def until_ended(executor, *numbers, prune=lambda evaluation: False):
    """Replies to evaluations until these trials have ended; returns their events, by trial."""
    events = {number: [] for number in numbers}
    running, deadline = set(numbers), time.monotonic() + 30
    while running:
        assert time.monotonic() < deadline
        for event in executor.events(1.0):
            events[event.number].append(event)
            if isinstance(event, Evaluation):
                event.reply(prune(event))
            else:
                running.remove(event.number)
    return events


def test_a_trial_reports_its_evaluations_and_its_end(started):
    def main(connection, job, share):
        for step in (10, 20):
            connection.send((1, step, {"val_accuracy": step / 100}))
            assert connection.recv() is False
        connection.send(Ended(job.number, "FINISHED", {"val_accuracy": 0.2}, 1.5, "4f2a"))

    executor = started(main)
    executor.start(job(7))
    *evaluations, ended = until_ended(executor, 7)[7]
    assert [(one.number, one.epoch, one.step, one.metrics) for one in evaluations] == [
        (7, 1, 10, {"val_accuracy": 0.1}),
        (7, 1, 20, {"val_accuracy": 0.2}),
    ]
    assert ended == Ended(7, "FINISHED", {"val_accuracy": 0.2}, 1.5, "4f2a")


def test_a_reply_reaches_the_trial_that_waits_for_it(started):
    def main(connection, job, share):
        connection.send((1, 10, {}))
        connection.send(Ended(job.number, "PRUNED" if connection.recv() else "FINISHED"))

    executor = started(main)
    executor.start(job(0))
    executor.start(job(1))
    events = until_ended(executor, 0, 1, prune=lambda evaluation: evaluation.number == 1)
    assert [events[number][-1].status for number in (0, 1)] == ["FINISHED", "PRUNED"]


def test_a_reply_to_a_trial_that_has_died_does_nothing(started):
    def main(connection, job, share):
        connection.send((1, 10, {}))
        os._exit(3)

    executor = started(main)
    executor.start(job(0))
    (evaluation,) = executor.events(10.0)
    os.waitid(os.P_PID, executor._workers[0].process.pid, os.WEXITED | os.WNOWAIT)
    evaluation.reply(True)
    assert until_ended(executor, 0)[0][-1].status == "FAILED"


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGKILL, "its process was killed (SIGKILL), perhaps because memory ran out"),
        (signal.SIGUSR1, "its process was killed by SIGUSR1"),
    ],
)
def test_a_trial_that_is_killed_has_failed_and_the_signal_is_named(started, number, error):
    def main(connection, job, share):
        connection.send((1, 10, {}))
        connection.recv()
        os.kill(os.getpid(), number)

    executor = started(main)
    executor.start(job(0))
    ended = until_ended(executor, 0)[0][-1]
    assert (ended.status, ended.error, ended.trace) == ("FAILED", error, None)
    assert ended.seconds > 0


def test_a_trial_that_ends_without_a_result_has_failed(started):
    executor = started(lambda connection, job, share: os._exit(3))
    executor.start(job(0))
    (ended,) = until_ended(executor, 0)[0]
    assert (ended.status, ended.error) == (
        "FAILED", "its process ended without reporting a result, with exit code 3"
    )  # fmt: skip


def test_one_trials_end_is_not_anothers(started):
    def main(connection, job, share):
        if job.number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        connection.send((1, 10, {}))
        connection.recv()
        connection.send(Ended(job.number, "FINISHED"))

    executor = started(main)
    executor.start(job(0))
    executor.start(job(1))
    events = until_ended(executor, 0, 1)
    assert [events[number][-1].status for number in (0, 1)] == ["FAILED", "FINISHED"]


def sleeper(connection, job, share):
    connection.send((0, 0, {}))
    connection.recv()
    time.sleep(60)


def test_a_trial_that_is_stopped_before_it_can_save_was_killed(started):
    executor = started(sleeper)
    executor.start(job(0))
    executor.stop(0)
    (*_, ended) = until_ended(executor, 0)[0]
    assert (ended.status, ended.error) == ("KILLED", None)


def test_a_trial_that_is_asked_to_stop_ends_as_it_reports(started):
    def main(connection, job, share):
        signals = []
        signal.signal(signal.SIGTERM, lambda *_: signals.append(True))
        connection.send((0, 0, {}))
        connection.recv()
        while not signals:
            signal.pause()
        connection.send(Ended(job.number, "KILLED", {"signals": len(signals)}, run_id="4f2a"))

    executor = started(main)
    executor.start(job(0))

    def stop(_):
        executor.stop(0)
        executor.stop(0)  # sends no second signal
        return False

    assert until_ended(executor, 0, prune=stop)[0][-1] == Ended(0, "KILLED", {"signals": 1}, run_id="4f2a")


def test_a_trial_that_does_not_stop_is_killed_in_the_end(started, monkeypatch):
    def main(connection, job, share):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sleeper(connection, job, share)

    executor = started(main)
    executor.start(job(0))
    (evaluation,) = executor.events(10.0)
    executor.stop(0)
    evaluation.reply(False)
    assert list(executor.events(0.1)) == []  # it has a minute
    monkeypatch.setattr(local, "STOP_SECONDS", -1.0)
    assert until_ended(executor, 0)[0][-1].status == "KILLED"


def test_all_are_killed_at_once(started):
    executor = started(sleeper)
    for number in range(2):
        executor.start(job(number))
    alive = [trial.process.pid for trial in executor._workers.values()]
    executor.close()
    assert list(executor.events(0.0)) == []
    assert not any(psutil.pid_exists(pid) for pid in alive)


def test_events_are_not_waited_for_longer_than_asked(started):
    executor = started(sleeper)
    executor.start(job(0))
    (evaluation,) = executor.events(10.0)
    evaluation.reply(False)
    began = time.monotonic()
    assert list(executor.events(0.2)) == []
    assert 0.1 < time.monotonic() - began < 5


def test_without_a_trial_events_are_waited_for_as_long(started):
    """A machine without work of its own must not ask the study all the time what the others do."""
    began = time.monotonic()
    assert list(started(sleeper).events(0.2)) == []
    assert time.monotonic() - began >= 0.2


def report_share(connection, job, share):
    connection.send(Ended(job.number, "FINISHED", run_id=f"{share.threads} {share.gpus}"))


@pytest.mark.parametrize(
    ("slots", "gpus", "cores", "shares", "description"),
    [
        (1, (), 8, ["8 None"], "8 threads"),
        (2, (), 8, ["4 None", "4 None"], "4 threads"),
        (3, (), 2, ["1 None"] * 3, "1 thread"),
        (2, ("0", "1"), 8, ["4 ('0',)", "4 ('1',)"], "1 GPU"),
        (2, ("2", "3", "5", "7"), 8, ["4 ('2', '3')", "4 ('5', '7')"], "2 GPUs"),
        (3, ("0", "1"), 6, ["2 ('0',)", "2 ('1',)", "2 ('0',)"], "a part of 2 GPUs"),
    ],
)
def test_each_trial_has_its_share_of_the_machine(started, slots, gpus, cores, shares, description):
    executor = started(report_share, slots, gpus, cores)
    assert executor.describe() == description
    for number in range(slots):
        executor.start(job(number))
    events = until_ended(executor, *range(slots))
    assert [events[number][-1].run_id for number in range(slots)] == shares


def test_a_share_that_is_free_again_goes_to_the_next(started):
    def main(connection, job, share):
        connection.send((0, 0, {}))
        connection.recv()
        report_share(connection, job, share)

    executor = started(main, 2, ("0", "1"))
    executor.start(job(0))
    executor.start(job(1))
    waiting, deadline = {}, time.monotonic() + 10
    while len(waiting) < 2:
        assert time.monotonic() < deadline
        waiting |= {event.number: event for event in executor.events(0.5)}
    waiting[0].reply(False)
    assert next(iter(executor.events(10.0))).run_id == "4 ('0',)"
    executor.start(job(2))
    waiting[1].reply(False)
    events = until_ended(executor, 1, 2)
    assert [events[number][-1].run_id for number in (1, 2)] == ["4 ('1',)", "4 ('0',)"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ()), ("-1", ()), ("0", ("0",)), ("0,2", ("0", "2")), (" 1 , GPU-ab12 ", ("1", "GPU-ab12"))],
)
def test_the_environment_names_the_gpus(monkeypatch, value, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == expected


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("GPU 0: NVIDIA H100 (UUID: GPU-1)\nGPU 1: NVIDIA H100 (UUID: GPU-2)\n", ("0", "1")),
        ("No devices found.\n", ()),
        (
            "GPU 0: NVIDIA H100 (UUID: GPU-1)\n  MIG 1g.10gb Device 0: (UUID: M)\nGPU 1: NVIDIA H100 (UUID: GPU-2)\n",
            ("0", "1"),
        ),
    ],
    ids=["two", "none", "one in parts"],
)
def test_the_driver_is_asked_for_gpus(monkeypatch, listed, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=listed))
    assert visible_gpus() == expected


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError("nvidia-smi"), subprocess.TimeoutExpired("x", 20), subprocess.CalledProcessError(9, "x")],
)
def test_without_a_driver_there_are_no_gpus(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(subprocess, "run", fail)
    assert visible_gpus() == ()


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= usable_cores() <= os.cpu_count()


def test_a_trial_whose_code_has_changed_since_it_was_planned_is_not_trained(config, tmp_path, monkeypatch):
    """Its folder, and its place in the study, are named after what was planned."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERASDL_TARGETS", "my_nets")
    (tmp_path / "my_nets.py").write_text("def build(): ...")
    conf = config("model._target_=my_nets.build")
    planned = TrialJob(0, "mine-0", conf, config_hash(conf), Path(os.devnull))
    (tmp_path / "my_nets.py").write_text("def build(): return 1")
    with pytest.raises(UserError, match=r"^the source of the sweep's own code has changed since the sweep began\."):
        worker._train(planned, lambda *_: False, threads=1)
    assert not (tmp_path / "mlruns" / "runs").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="trials are spawned elsewhere")
def test_a_sweep_whose_terminal_is_closed_saves_its_trials(in_terminal, fast, tmp_path):
    from kerasdl.runs import folders, sweep_folders

    terminal = in_terminal(
        "-m", *fast, "seed=0,1", "trainer.epochs=400", "trainer.checkpoint.every=100epochs",
        "trainer.checkpoint.best=null", "tracking.system_metrics=false", "sweep.jobs=2", "sweep.name=mine",
    )  # fmt: skip
    terminal.wait_for(r"seed=0.*[1-9]/400(?s:.*)seed=1.*[1-9]/400")
    assert terminal.close() == 128 + signal.SIGHUP
    output_dir = tmp_path / "mlruns"
    assert [trial.state.name for trial in attempts(output_dir, "mine")] == ["WAITING"] * 2
    trials = list(folders(output_dir))
    assert [folder.record.status for folder in [*trials, *sweep_folders(output_dir)]] == ["KILLED"] * 3
    for folder in trials:
        assert len([*folder.checkpoints.glob("step-*.npz")]) == 1, folder.name
