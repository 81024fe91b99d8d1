"""When something is due: by steps, by epochs, by the clock."""

import math
import time

import pytest

from kerasdl.config.cadence import cadence
from kerasdl.training.pacing import Every

EPOCH = 41


def every(text):
    return Every(cadence(text, "key"), EPOCH)


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when told to, in seconds."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.mark.parametrize(
    ("text", "steps"),
    [("7steps", 7), ("1steps", 1), ("1epochs", EPOCH), ("2epochs", 2 * EPOCH), ("0.5epochs", 20), ("0.001epochs", 1)],
)
def test_multiples_of_a_number_of_steps_are_due(text, steps):
    when = every(text)
    assert [step for step in range(1, 4 * EPOCH) if when.due(step)] == list(range(steps, 4 * EPOCH, steps))


@pytest.mark.parametrize("text", ["7steps", "1steps", "0.25epochs", "1epochs"])
def test_going_the_distance_ends_where_it_is_due(text):
    """From any step, and no step in between is passed over."""
    when = every(text)
    for step in range(3 * EPOCH):
        distance = when.distance(step)
        assert distance >= 1
        assert when.due(step + distance)
        assert not any(when.due(between) for between in range(step + 1, step + distance))


@pytest.mark.parametrize("text", ["7steps", "1epochs", "1minutes", None])
def test_nothing_is_due_before_the_first_step(text):
    assert not every(text).due(0)


def test_what_happened_changes_nothing_in_steps():
    when = every("7steps")
    assert when.due(7)
    when.happened()
    assert when.due(7)
    assert not when.due(8)


def test_null_is_never_due():
    never = every(None)
    assert not any(never.due(step) for step in range(100))
    assert never.distance(0) == never.distance(7) == math.inf
    never.happened()
    assert not never.due(100)


def test_minutes_pass_by_the_clock_whatever_the_step(clock):
    when = every("0.5minutes")
    assert when.distance(3) == math.inf
    clock.now += 29.9
    assert not when.due(1)
    clock.now += 0.2
    assert when.due(1)
    assert when.due(2)  # until it has happened
    when.happened()
    assert not when.due(3)
    clock.now += 30
    assert when.due(3)


def test_the_clock_starts_anew_with_what_happened_and_not_with_when_it_was_due(clock):
    when = every("1minutes")
    clock.now += 100
    when.happened()
    clock.now += 59
    assert not when.due(1)
    clock.now += 1
    assert when.due(1)
