"""Whether a trial's owner is still alive: by its process on this machine, by its heartbeat on other machines."""

import json
import os
import subprocess
import sys
import uuid

import psutil
import pytest

from kerasdl.sweeps import liveness


@pytest.fixture
def other():
    """Starts a process that says who it is, and waits."""
    started = []

    def start():
        code = (
            "import json, sys; from kerasdl.sweeps import liveness\n"
            "print(json.dumps(liveness.this_process()), flush=True); sys.stdin.read()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_process_lives_until_it_is_killed(other):
    process, its = other()
    assert (its["pid"], its["machine"]) == (process.pid, liveness.machine())
    assert not liveness.has_ended(its)
    process.kill()
    process.wait()
    assert liveness.has_ended(its)


def test_a_dead_process_that_nobody_waited_for_is_dead(other, monkeypatch):
    process, its = other()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays listed
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert liveness.has_ended(its)


def test_another_process_of_the_same_number_is_not_it():
    mine = liveness.this_process()
    assert not liveness.has_ended(mine)
    assert liveness.has_ended({**mine, "began": mine["began"] - 60})
    assert not liveness.has_ended({**mine, "began": mine["began"] - 1})  # a clock that was set a little


def test_of_other_machines_nothing_is_known():
    assert not liveness.has_ended({**liveness.this_process(), "machine": "elsewhere-00", "pid": 2**22 + 1})
    assert not liveness.has_ended({})


def test_who_it_is_can_be_kept_as_json():
    mine = liveness.this_process()
    assert json.loads(json.dumps(mine)) == mine


def test_a_machine_without_a_network_card_has_one_name_in_all_processes(monkeypatch):
    monkeypatch.setattr(uuid, "getnode", lambda: 0x0242AC110002)
    with_card = liveness.machine.__wrapped__()
    assert with_card.endswith("-0242ac110002")
    names = set()
    for made_up in (0x0142AC110002, 0xAB1234567890):
        monkeypatch.setattr(uuid, "getnode", lambda node=made_up: node)
        names.add(liveness.machine.__wrapped__())
    assert len(names) == 1


@pytest.fixture
def monitor():
    class Clock:
        now = 1000.0

    return liveness.HeartbeatMonitor(30.0, lambda: Clock.now), Clock


def test_who_beats_is_there(monitor):
    monitor, clock = monitor
    for beat in range(10):
        assert monitor.silent({1: beat}) == []
        clock.now += 29


def test_who_stands_still_for_longer_than_the_patience_is_gone(monitor):
    monitor, clock = monitor
    assert monitor.silent({1: 5}) == []
    clock.now += 30
    assert monitor.silent({1: 5}) == []
    clock.now += 0.1
    assert monitor.silent({1: 5}) == [1]


def test_who_is_seen_for_the_first_time_has_the_whole_patience_ahead(monitor):
    monitor, clock = monitor
    clock.now += 1000
    assert monitor.silent({1: 0}) == []
    clock.now += 29
    assert monitor.silent({1: 0, 2: 0}) == []
    clock.now += 2
    assert monitor.silent({1: 0, 2: 0}) == [1]


def test_a_count_that_begins_again_and_another_owner_are_signs_of_life(monitor):
    monitor, clock = monitor
    for sign in (("left", 7), ("left", 0), ("right", 0)):
        assert monitor.silent({1: sign}) == []
        clock.now += 31


def test_who_was_away_meanwhile_has_the_whole_patience_ahead(monitor):
    monitor, clock = monitor
    monitor.silent({1: 0})
    clock.now += 20
    monitor.silent({})
    clock.now += 20
    assert monitor.silent({1: 0}) == []
