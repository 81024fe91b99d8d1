"""The folder of a run: what it keeps is whole or refused, and one process at a time has it."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from kerasdl.errors import ResumeError
from kerasdl.runs import FINISHED, RunFolder, find, folder_named, folders

CONFIG = {"model": {"filters": [10, 20], "dropout": 0.5}, "trainer": {"epochs": 3}, "data": {"data_dir": None}}


@pytest.fixture
def made(tmp_path):
    """Makes a run's folder, free to be taken, with changes to its record."""

    def make(**changes):
        folder = RunFolder.new(tmp_path, CONFIG, "0123456789abcdef")
        folder.create()
        folder.update(**changes)
        folder.unlock()
        return folder

    return make


@pytest.fixture
def worker():
    """Starts a process that takes a run's folder and holds it until it is killed."""
    started = []

    def start(path):
        code = (
            "import sys; from pathlib import Path; from kerasdl.runs import RunFolder\n"
            "folder = RunFolder.open(Path(sys.argv[1])); folder.lock(); print('locked', flush=True); sys.stdin.read()"
        )
        root = str(Path(__file__).parents[2])
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "PYTHONPATH": root},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "locked\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_run_is_found_as_it_was_left(tmp_path):
    before = datetime.now().isoformat(timespec="microseconds")
    folder = RunFolder.new(tmp_path, CONFIG, "0123456789abcdef")
    assert not folder.path.exists()
    folder.create()
    folder.update(run_id="4f2a", tracking_uri="sqlite:///mlflow.db", experiment="kerasdl", environment={"keras": "3"})
    opened = RunFolder.open(folder.path)
    assert opened.record == folder.record
    assert (opened.record.config, opened.record.config_hash) == (CONFIG, "0123456789abcdef")
    assert opened.record.status == "RUNNING"
    assert before <= opened.record.created <= datetime.now().isoformat(timespec="microseconds")
    assert (opened.name, opened.id) == (folder.path.name, "4f2a")
    assert opened.checkpoints.is_dir()
    assert opened.tracking.is_dir()
    assert folder.path.parent == tmp_path / "runs"


def test_without_mlflow_the_name_is_the_id(made):
    folder = made()
    assert folder.id == folder.name


def test_a_folder_is_no_run_before_its_record_is_written(tmp_path):
    (tmp_path / "runs" / "20260101-000000-00000000" / "checkpoints").mkdir(parents=True)
    (tmp_path / "runs" / "a-file").touch()
    assert list(folders(tmp_path)) == []
    assert list(folders(tmp_path / "nowhere")) == []


def damaged(folder, content):
    """Returns whether `content` as run.json is refused, and the run left out of the list."""
    (folder.path / "run.json").write_bytes(content)
    with contextlib.suppress(ResumeError):
        RunFolder.open(folder.path)
        return False
    return not list(folders(folder.path.parents[1]))


def test_a_record_of_which_any_byte_is_wrong_is_refused(made):
    folder = made(run_id="4f2a")
    whole = (folder.path / "run.json").read_bytes()
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        assert damaged(folder, flipped), (position, whole[position - 5 : position + 5])


def test_a_record_that_is_cut_off_or_is_something_else_is_refused(made):
    folder = made()
    whole = (folder.path / "run.json").read_bytes()
    for length in range(len(whole)):
        assert damaged(folder, whole[:length]), length
    for content in (
        b"no JSON",
        b"[]",
        b"null",
        b'{"record": {}}',
        b'{"record": [1], "crc32": 1}',
        b"\xff\xfe",
        b"[" * 9,
    ):
        assert damaged(folder, content), content
    content = json.loads(whole)
    content["record"]["status"] = FINISHED  # edited by hand, without its checksum
    assert damaged(folder, json.dumps(content).encode())
    (folder.path / "run.json").unlink()
    with pytest.raises(ResumeError, match=re.escape(str(folder.path / "run.json"))) as caught:
        RunFolder.open(folder.path)
    assert "can't be used" in str(caught.value)
    assert "\n" not in str(caught.value)
    (folder.path / "run.json").write_bytes(whole)
    assert RunFolder.open(folder.path).record == folder.record


def test_one_damaged_run_hides_no_other(made, tmp_path):
    first, second, third = made(), made(), made()
    (second.path / "run.json").write_bytes(b"{")
    assert [folder.name for folder in folders(tmp_path)] == [third.name, first.name]


def test_the_newest_comes_first_whatever_the_names_say(made, tmp_path):
    times = ("2026-01-01T10:00:00.000003", "2026-01-01T10:00:00.000001", "2026-01-01T10:00:00.000002")
    made_ones = {time: made(created=time) for time in times}
    assert [folder.name for folder in folders(tmp_path)] == [made_ones[time].name for time in sorted(times)[::-1]]


def test_a_run_is_found_by_id_name_and_a_beginning_that_only_it_has(made, tmp_path):
    first, second = made(run_id="abcd1111"), made(run_id="abce2222")
    third = made()
    for run, expected in (
        ("abcd1111", first),
        (first.name, first),
        ("abce", second),
        (third.name, third),
        (third.name[: len(third.name) - 2], third),
    ):
        assert find(tmp_path, run).path == expected.path, run


def test_a_whole_id_wins_over_the_beginning_of_another(made, tmp_path):
    short, _ = made(run_id="abcd"), made(run_id="abcdef")
    assert find(tmp_path, "abcd").path == short.path


def test_a_beginning_of_several_runs_lists_them(made, tmp_path):
    made(run_id="abcd1111", status=FINISHED)
    made(run_id="abce2222")
    made(run_id="ffff")
    with pytest.raises(ResumeError) as caught:
        find(tmp_path, "abc")
    message = str(caught.value)
    assert "resume=abc matches several runs: " in message
    assert "abcd1111 (FINISHED)" in message
    assert "abce2222 (RUNNING)" in message
    assert "ffff" not in message
    assert message.endswith("Type more of the id.")


def test_an_unknown_run_lists_the_known_ones_and_says_where_else_to_look(made, tmp_path):
    with pytest.raises(ResumeError, match="Known: none"):
        find(tmp_path, "abcd")
    ids = [made(run_id=f"{number}{number}{number}{number}").id for number in range(7)]
    with pytest.raises(ResumeError) as caught:
        find(tmp_path, "abcd")
    message = str(caught.value)
    assert f"there is no run abcd under {tmp_path / 'runs'}" in message
    assert [run in message for run in ids] == [False, False, True, True, True, True, True]  # the newest five
    assert "paths.output_dir=" in message
    assert "\n" not in message


def test_another_process_has_the_run_until_it_dies(made, worker):
    folder = made(run_id="4f2a")
    process = worker(folder.path)
    with pytest.raises(ResumeError) as caught:
        folder.lock()
    assert f"run 4f2a is in use by process {process.pid} on host {socket.gethostname()}" in str(caught.value)
    assert "resume=never" in str(caught.value)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    folder.lock()
    with pytest.raises(ResumeError, match=f"process {os.getpid()} on host"):
        RunFolder.open(folder.path).lock()
    folder.unlock()
    again = RunFolder.open(folder.path)
    again.lock()
    again.unlock()


def test_who_has_patience_gets_a_run_when_its_process_ends(made, worker):
    folder = made(run_id="4f2a")
    process = worker(folder.path)
    freed = threading.Timer(0.3, process.kill)
    freed.start()
    folder.lock(patience=30)
    assert process.wait() == -signal.SIGKILL
    with pytest.raises(ResumeError, match=f"process {os.getpid()} on host"):
        RunFolder.open(folder.path).lock()
    folder.unlock()


def test_patience_ends(made, worker):
    folder = made(run_id="4f2a")
    process = worker(folder.path)
    began = time.monotonic()
    with pytest.raises(ResumeError, match=f"run 4f2a is in use by process {process.pid} "):
        folder.lock(patience=0.3)
    assert 0.25 < time.monotonic() - began < 10


def test_who_waited_for_a_run_knows_what_was_done_meanwhile(made):
    first = made(status="RUNNING")
    second = RunFolder.open(first.path)
    first.lock()

    def end():
        first.update(status=FINISHED, metrics={"accuracy": 0.5})
        first.unlock()

    threading.Timer(0.3, end).start()
    second.lock(patience=30)
    assert (second.record.status, second.record.metrics) == (FINISHED, {"accuracy": 0.5})
    second.unlock()


def test_a_run_is_found_by_the_name_of_its_folder(tmp_path):
    assert folder_named(tmp_path, "rate-0a1b") is None
    folder = RunFolder.new(tmp_path, CONFIG, "0123456789abcdef", "rate-0a1b")
    assert folder.path == tmp_path / "runs" / "rate-0a1b"
    folder.path.mkdir(parents=True)
    assert folder_named(tmp_path, "rate-0a1b") is None  # no run before its record is written
    folder.create()
    folder.update(run_id="4f2a")
    folder.unlock()
    found = folder_named(tmp_path, "rate-0a1b")
    assert (found.path, found.record) == (folder.path, folder.record)
    assert folder_named(tmp_path, "rate") is None
    assert folder_named(tmp_path, "4f2a") is None
    (folder.path / "run.json").write_bytes(b"{")
    with pytest.raises(ResumeError, match=re.escape(str(folder.path / "run.json"))):
        folder_named(tmp_path, "rate-0a1b")


def test_a_holder_that_has_not_written_who_it_is_still_holds(made, worker):
    folder = made()
    worker(folder.path)
    (folder.path / "lock.owner").unlink()
    with pytest.raises(ResumeError, match="is in use by another process"):
        folder.lock()


def test_unlocking_what_was_never_locked_frees_nobody_elses_lock(made, worker):
    folder = made()
    process = worker(folder.path)
    folder.unlock()
    with pytest.raises(ResumeError, match=f"process {process.pid} "):
        folder.lock()


def test_updates_from_several_threads_lose_nothing(made):
    folder = made()
    begin = threading.Barrier(2)

    def update(field):
        begin.wait()
        for number in range(50):
            folder.update(**{field: f"{field} {number}"})

    threads = [threading.Thread(target=update, args=(field,)) for field in ("run_id", "experiment")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = RunFolder.open(folder.path).record
    assert (record.run_id, record.experiment) == ("run_id 49", "experiment 49")
    assert record == folder.record
    assert list(folder.path.glob(".*.tmp")) == []


def test_an_update_does_not_overtake_one_that_is_being_written(made, monkeypatch):
    folder, fsync, second = made(), os.fsync, threading.Thread(target=lambda: folder.update(experiment="mnist"))

    def slow(descriptor):
        monkeypatch.setattr(os, "fsync", fsync)
        second.start()
        second.join(0.2)  # without a lock it would be through by now, and be overwritten
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    folder.update(run_id="4f2a")
    second.join()
    record = RunFolder.open(folder.path).record
    assert (record.run_id, record.experiment) == ("4f2a", "mnist")


def test_a_failed_update_leaves_the_record_of_before(made, monkeypatch):
    folder = made(status="RUNNING")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.update(status=FINISHED)
    monkeypatch.undo()
    assert RunFolder.open(folder.path).record.status == "RUNNING"
    assert list(folder.path.glob(".*.tmp")) == []
