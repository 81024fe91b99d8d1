"""Trials' processes, with something simpler than a training inside: what they say, and how their ends are told."""

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
from kerasdl.sweeps import processes, worker
from kerasdl.sweeps.processes import Processes, cores, visible_gpus
from kerasdl.sweeps.worker import Ended, Evaluation

JOB = {"config_hash": "0a1b2c3d4e5f6071", "config": None, "log": Path(os.devnull)}


@pytest.fixture
def started(monkeypatch):
    """Makes `Processes` whose trials are a given function instead of `worker.main`; none outlives the test."""
    made = []
    # A fork knows the function that the test put there, which a fork server doesn't.
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(processes.multiprocessing, "get_context", lambda method: forked)

    def make(main, jobs=2, gpus=(), cores=8):
        monkeypatch.setattr(worker, "main", main)
        made.append(Processes(jobs, gpus, cores))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def until_ended(pool, answer=lambda said: False):
    """Answers evaluations until no trial runs; returns what was said, by trial."""
    said = {number: [] for number in pool.running}
    deadline = time.monotonic() + 30
    while pool.running:
        assert time.monotonic() < deadline
        for process, message in pool.events(1.0):
            said[process.number].append(message)
            if isinstance(message, Evaluation):
                pool.answer(process, answer(message))
    return said


def test_a_trial_says_its_evaluations_and_its_end(started):
    def main(connection, job):
        for step in (10, 20):
            connection.send(Evaluation(1, step, {"val_accuracy": step / 100}))
            assert connection.recv() is False
        connection.send(Ended("FINISHED", {"val_accuracy": 0.2}, 1.5, "4f2a"))

    pool = started(main)
    pool.start(7, name="seven", **JOB)
    assert [*pool.running] == [7]
    assert until_ended(pool)[7] == [
        Evaluation(1, 10, {"val_accuracy": 0.1}),
        Evaluation(1, 20, {"val_accuracy": 0.2}),
        Ended("FINISHED", {"val_accuracy": 0.2}, 1.5, "4f2a"),
    ]


def test_the_answer_reaches_the_trial_that_asked(started):
    def main(connection, job):
        connection.send(Evaluation(1, 10, {"seen": float(job.name)}))
        connection.send(Ended("PRUNED" if connection.recv() else "FINISHED"))

    pool = started(main)
    pool.start(0, name="0", **JOB)
    pool.start(1, name="1", **JOB)
    said = until_ended(pool, lambda evaluation: evaluation.metrics["seen"] == 1.0)
    assert [said[number][-1].status for number in (0, 1)] == ["FINISHED", "PRUNED"]


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGKILL, "its process was killed (SIGKILL), perhaps because memory ran out"),
        (signal.SIGUSR1, "its process died of SIGUSR1"),
    ],
)
def test_a_trial_that_dies_of_a_signal_has_failed_and_says_of_which(started, number, error):
    def main(connection, job):
        connection.send(Evaluation(1, 10, {}))
        connection.recv()
        os.kill(os.getpid(), number)

    pool = started(main)
    pool.start(0, name="dying", **JOB)
    ended = until_ended(pool)[0][-1]
    assert (ended.status, ended.error, ended.trace) == ("FAILED", error, None)
    assert ended.seconds > 0


def test_a_trial_that_ends_without_a_word_has_failed(started):
    pool = started(lambda connection, job: os._exit(3))
    pool.start(0, name="silent", **JOB)
    (ended,) = until_ended(pool)[0]
    assert (ended.status, ended.error) == ("FAILED", "its process ended without a word, with exit code 3")


def test_one_trials_end_is_not_anothers(started):
    def main(connection, job):
        if job.name == "dying":
            os.kill(os.getpid(), signal.SIGKILL)
        connection.send(Evaluation(1, 10, {}))
        connection.recv()
        connection.send(Ended("FINISHED"))

    pool = started(main)
    pool.start(0, name="dying", **JOB)
    pool.start(1, name="living", **JOB)
    said = until_ended(pool)
    assert [said[number][-1].status for number in (0, 1)] == ["FAILED", "FINISHED"]


def sleeper(connection, job):
    connection.send(Evaluation(0, 0, {}))
    connection.recv()
    time.sleep(60)


def test_a_trial_that_is_stopped_before_it_can_save_was_killed(started):
    pool = started(sleeper)
    pool.start(0, name="sleeping", **JOB)
    process = pool.running[0]
    pool.stop([process], "interrupted")
    assert process.asked[1] == "interrupted"
    (*_, ended) = until_ended(pool)[0]
    assert (ended.status, ended.error) == ("KILLED", None)


def test_a_trial_that_is_asked_to_stop_ends_as_it_says(started):
    def main(connection, job):
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
        connection.send(Evaluation(0, 0, {}))
        connection.recv()
        while not stop:
            signal.pause()
        connection.send(Ended("KILLED", run_id="4f2a"))

    pool = started(main)
    pool.start(0, name="saving", **JOB)

    def stop(_):
        pool.stop(pool.running.values(), "timed out")
        pool.stop(pool.running.values(), "interrupted")  # the first reason stands, and no second signal comes
        assert pool.running[0].asked[1] == "timed out"
        return False

    assert until_ended(pool, stop)[0][-1] == Ended("KILLED", run_id="4f2a")


def test_a_trial_that_does_not_stop_is_killed_in_the_end(started, monkeypatch):
    def main(connection, job):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sleeper(connection, job)

    pool = started(main)
    pool.start(0, name="hanging", **JOB)
    process = pool.running[0]

    def stop(_):
        pool.stop([process], "timed out")
        return False

    for one, message in pool.events(10.0):
        pool.answer(one, stop(message))
    pool.enforce()
    assert process.handle.is_alive()  # it has a minute
    monkeypatch.setattr(processes, "STOP_SECONDS", -1.0)
    pool.enforce()
    assert until_ended(pool)[0][-1].status == "KILLED"


def test_all_are_killed_at_once(started):
    pool = started(sleeper)
    for number in range(2):
        pool.start(number, name=str(number), **JOB)
    alive = [process.handle.pid for process in pool.running.values()]
    pool.kill()
    assert pool.running == {}
    assert not any(psutil.pid_exists(pid) for pid in alive)


def test_nobody_listens_for_longer_than_asked(started):
    pool = started(sleeper)
    assert list(pool.events(0.0)) == []  # of no trial
    pool.start(0, name="sleeping", **JOB)
    for process, _ in pool.events(10.0):
        pool.answer(process, False)
    began = time.monotonic()
    assert list(pool.events(0.2)) == []
    assert 0.1 < time.monotonic() - began < 5


def share(connection, job):
    connection.send(Ended("FINISHED", run_id=f"{job.threads} {job.gpus}"))


@pytest.mark.parametrize(
    ("jobs", "gpus", "cores", "shares", "words"),
    [
        (1, (), 8, ["8 None"], "8 threads"),
        (2, (), 8, ["4 None", "4 None"], "4 threads"),
        (3, (), 2, ["1 None"] * 3, "1 thread"),
        (2, ("0", "1"), 8, ["4 ('0',)", "4 ('1',)"], "1 GPU"),
        (2, ("2", "3", "5", "7"), 8, ["4 ('2', '3')", "4 ('5', '7')"], "2 GPUs"),
        (3, ("0", "1"), 6, ["2 ('0',)", "2 ('1',)", "2 ('0',)"], "a part of 2 GPUs"),
    ],
)
def test_each_trial_has_its_share_of_the_machine(started, jobs, gpus, cores, shares, words):
    pool = started(share, jobs, gpus, cores)
    assert pool.share() == words
    for number in range(jobs):
        assert pool.has_room
        pool.start(number, name=str(number), **JOB)
    assert not pool.has_room
    said = until_ended(pool)
    assert [said[number][-1].run_id for number in range(jobs)] == shares


def test_a_share_that_is_free_again_goes_to_the_next(started):
    def main(connection, job):
        connection.send(Evaluation(0, 0, {}))
        connection.recv()
        share(connection, job)

    pool = started(main, 2, ("0", "1"))
    pool.start(0, name="0", **JOB)
    pool.start(1, name="1", **JOB)
    pool.answer(pool.running[0], False)
    deadline = time.monotonic() + 10
    while 0 in pool.running:
        assert time.monotonic() < deadline
        list(pool.events(0.5))
    pool.start(2, name="2", **JOB)
    assert [(process.number, process.slot) for process in pool.running.values()] == [(1, 1), (2, 0)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ()), ("-1", ()), ("0", ("0",)), ("0,2", ("0", "2")), (" 1 , GPU-ab12 ", ("1", "GPU-ab12"))],
)
def test_the_environment_says_which_gpus_there_are(monkeypatch, value, expected):
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
    assert 1 <= cores() <= os.cpu_count()


def test_a_trial_whose_code_has_changed_since_it_was_planned_is_not_trained(config, tmp_path, monkeypatch):
    """Its folder, and its place in the study, are named after what was planned."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERASDL_TARGETS", "my_nets")
    (tmp_path / "my_nets.py").write_text("def build(): ...")
    conf = config("model._target_=my_nets.build")
    job = worker.Job("mine-0", conf, config_hash(conf), 1, None, Path(os.devnull))
    (tmp_path / "my_nets.py").write_text("def build(): return 1")
    with pytest.raises(UserError, match=r"^the source of the sweep's own code has changed since the sweep began\."):
        worker._run(None, job)
    assert not (tmp_path / "mlruns" / "runs").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="trials are forked elsewhere")
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
