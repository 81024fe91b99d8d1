"""Whether who works on a trial is still there: by its process on this machine, by its heartbeat on others."""

import json
import os
import subprocess
import sys
import uuid

import psutil
import pytest

from kerasdl.sweeps import owner


@pytest.fixture
def other():
    """Starts a process that says who it is, and waits."""
    started = []

    def start():
        code = (
            "import json, sys; from kerasdl.sweeps import owner\n"
            "print(json.dumps(owner.this_process()), flush=True); sys.stdin.read()"
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
    assert (its["pid"], its["machine"]) == (process.pid, owner.machine())
    assert not owner.is_dead(its)
    process.kill()
    process.wait()
    assert owner.is_dead(its)


def test_a_dead_process_that_nobody_waited_for_is_dead(other, monkeypatch):
    process, its = other()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays listed
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert owner.is_dead(its)


def test_another_process_of_the_same_number_is_not_it():
    mine = owner.this_process()
    assert not owner.is_dead(mine)
    assert owner.is_dead({**mine, "began": mine["began"] - 60})
    assert not owner.is_dead({**mine, "began": mine["began"] - 1})  # a clock that was set a little


def test_of_other_machines_nothing_is_known():
    assert not owner.is_dead({**owner.this_process(), "machine": "elsewhere-00", "pid": 2**22 + 1})
    assert not owner.is_dead({})


def test_who_it_is_can_be_kept_as_json():
    mine = owner.this_process()
    assert json.loads(json.dumps(mine)) == mine


def test_a_machine_without_a_network_card_has_one_name_in_all_processes(monkeypatch):
    monkeypatch.setattr(uuid, "getnode", lambda: 0x0242AC110002)
    with_card = owner.machine.__wrapped__()
    assert with_card.endswith("-0242ac110002")
    names = set()
    for made_up in (0x0142AC110002, 0xAB1234567890):
        monkeypatch.setattr(uuid, "getnode", lambda node=made_up: node)
        names.add(owner.machine.__wrapped__())
    assert len(names) == 1


@pytest.fixture
def pulse():
    class Clock:
        now = 1000.0

    return owner.Pulse(30.0, lambda: Clock.now), Clock


def test_who_beats_is_there(pulse):
    pulse, clock = pulse
    for beat in range(10):
        assert pulse.gone({1: beat}) == []
        clock.now += 29


def test_who_stands_still_for_longer_than_the_patience_is_gone(pulse):
    pulse, clock = pulse
    assert pulse.gone({1: 5}) == []
    clock.now += 30
    assert pulse.gone({1: 5}) == []
    clock.now += 0.1
    assert pulse.gone({1: 5}) == [1]


def test_who_is_seen_for_the_first_time_has_the_whole_patience_ahead(pulse):
    pulse, clock = pulse
    clock.now += 1000
    assert pulse.gone({1: 0}) == []
    clock.now += 29
    assert pulse.gone({1: 0, 2: 0}) == []
    clock.now += 2
    assert pulse.gone({1: 0, 2: 0}) == [1]


def test_a_count_that_begins_again_and_another_owner_are_signs_of_life(pulse):
    pulse, clock = pulse
    for sign in (("left", 7), ("left", 0), ("right", 0)):
        assert pulse.gone({1: sign}) == []
        clock.now += 31


def test_who_was_away_meanwhile_has_the_whole_patience_ahead(pulse):
    pulse, clock = pulse
    pulse.gone({1: 0})
    clock.now += 20
    pulse.gone({})
    clock.now += 20
    assert pulse.gone({1: 0}) == []
