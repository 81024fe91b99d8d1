import pytest

from kerasdl.tracking import TrackingListener, entries
from kerasdl.tracking.journal import Journal
from kerasdl.tracking.reported import ReportedBefore


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def reported_steps(known, key, steps, attempt=0):
    return [step for step in steps if known.has_point(attempt, key, step)]


def test_a_new_run_has_reported_nothing(journal):
    known = ReportedBefore(journal, None)
    assert not known.has_point(0, "loss", 0)
    assert known.next_sample == 0


def test_points_from_the_resumed_step_on_were_reported(journal):
    for step in (80, 100, 120):
        journal.append(entries.metrics([("loss", 0.5)], step, 0))
    journal.append(entries.series("rate", 100, [0.1, 0.1, 0.1], 0))
    known = ReportedBefore(journal, 100)
    assert reported_steps(known, "loss", range(100, 140)) == [100, 120]
    assert reported_steps(known, "rate", range(100, 140)) == [100, 101, 102]
    assert reported_steps(known, "val_loss", range(100, 140)) == []


def test_of_the_interval_around_the_checkpoint_only_the_rest_is_new(journal):
    journal.append(entries.series("rate", 0, [0.1] * 100, 0))
    known = ReportedBefore(journal, 130)
    assert reported_steps(known, "rate", range(90, 140)) == list(range(90, 100))


def test_a_later_attempt_has_its_own_points_from_its_beginning_on(journal):
    journal.append(entries.series("rate", 0, [0.1] * 200, 0))
    journal.append(entries.metrics([(entries.ROLLBACKS, 1.0)], 150, 1))
    journal.append(entries.series("rate", 150, [0.05] * 10, 1))
    known = ReportedBefore(journal, 155)
    assert reported_steps(known, "rate", range(140, 170), attempt=1) == list(range(140, 160))
    assert reported_steps(known, "rate", range(190, 210), attempt=0) == list(range(190, 200))


def test_entries_without_steps_were_reported(journal):
    journal.append(entries.params({"seed": "0"}))
    journal.append(entries.dataset("mnist", "3", "d", "s", "train"))
    journal.append(entries.resumption())
    journal.append(entries.system_metrics({"system/cpu": 1.0}, 6))
    journal.append(entries.model(journal.path.parent / "spool" / "a" / "model", 40))
    known = ReportedBefore(journal, 0)
    assert (known.params, known.datasets, known.models) == ({"seed"}, {"mnist"}, {40})
    assert (known.resumptions, known.next_sample) == (1, 7)


class Recorder:
    """A tracker that keeps the steps of the learning rate, by attempt."""

    def __init__(self):
        self.attempt = 0
        self.rates = []

    def metrics(self, values, step):
        pass

    def series(self, key, first_step, values):
        self.rates += [(self.attempt, step) for step, _ in enumerate(values, first_step)]


def test_after_a_rollback_the_learning_rate_of_no_computed_step_is_reported_twice():
    tracker = Recorder()
    listener = TrackingListener(tracker)
    listener.on_interval(100, {}, [0.1] * 100)
    listener.on_rollback(60, 1)  # into the middle of the interval, whose first 60 steps are computed again
    listener.on_interval(100, {}, [0.1] * 60 + [0.05] * 40)
    listener.on_interval(200, {}, [0.05] * 100)
    assert tracker.rates == [(0, step) for step in range(100)] + [(1, step) for step in range(60, 200)]
