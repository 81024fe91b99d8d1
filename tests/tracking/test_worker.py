"""The thread, with a sender that does what the test scripts."""

import threading
from pathlib import Path

import mlflow  # noqa: F401  # whoever judges a failure imports it, which takes longer than these tests allow
import pytest

from kerasdl.tracking import worker as worker_module
from kerasdl.tracking.store import Store
from kerasdl.tracking.worker import Worker

STORE = Store("http://127.0.0.1:5", Path("/nowhere"), "tracking.uri")


class Script:
    """Stands for the journal and its sender: `send` calls the next of `rounds`, the last one again and again."""

    path = Path("/nowhere/tracking/journal")

    def __init__(self, *rounds):
        self.run_id = None
        self.allowance = 0.0
        self.abandoned = threading.Event()
        self.failures = {}
        self.rounds = list(rounds)
        self.calls = 0
        self.openings = []
        self.sent_refused = 0
        self.sent_from_memory = False

    def open(self):
        for error in self.openings[:1]:
            self.openings.pop(0)
            raise error
        self.run_id = "run"

    def send(self):
        self.calls += 1
        yield from self.rounds.pop(0)() if len(self.rounds) > 1 else self.rounds[0]()

    def send_refused(self):
        self.sent_refused += 1
        yield 1

    def send_from_memory(self):
        self.sent_from_memory = True


def works():
    yield 1


def is_away():
    raise ConnectionError("refused")
    yield


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    for name in ("PAUSE_SECONDS", "FIRST_RETRY_SECONDS", "RETRY_SECONDS", "FINAL_RETRY_SECONDS"):
        monkeypatch.setattr(worker_module, name, 0.01)
    monkeypatch.setattr(worker_module, "MIN_HANGING_SECONDS", 0.3)


def started(script):
    worker = Worker(script, script, STORE, prepare=lambda: None)
    worker.start()
    return worker


def test_it_sends_when_it_is_woken_and_at_the_end(wait_until):
    script = Script(works)
    worker = started(script)
    wait_until(lambda: script.calls == 1)
    worker.wake()
    wait_until(lambda: script.calls == 2)
    assert worker.close(patience=1)
    assert script.calls == 3
    assert script.sent_from_memory


def test_an_unavailable_store_is_tried_again_and_reported_once_as_is_its_return(wait_until, capfd):
    script = Script(is_away, is_away, is_away, is_away, works)
    worker = started(script)
    wait_until(lambda: script.calls == 5)
    assert worker.close(patience=1)
    assert worker.last_error is None
    captured = capfd.readouterr()
    assert captured.err == (
        "Warning: http://127.0.0.1:5 does not answer (refused). Training continues; its results are kept in "
        "/nowhere/tracking and sent when the store is available again.\n"
    )
    assert captured.out == "http://127.0.0.1:5 is available again; the waiting entries are being sent\n"


def test_one_connection_that_timed_out_is_not_reported(wait_until, capfd):
    script = Script(is_away, works)
    worker = started(script)
    wait_until(lambda: script.calls == 2)
    assert worker.close(patience=1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("patience", [0, 0.2])
def test_the_end_waits_for_an_unavailable_store_no_longer_than_patience_allows(patience):
    worker = started(Script(is_away))
    assert worker.close(patience)  # the thread ends by itself
    assert str(worker.last_error) == "refused"


def test_a_store_that_answers_slowly_is_given_the_time_that_it_takes():
    pause = threading.Event()

    def slow():
        for offset in range(8):
            pause.wait(0.1)
            yield offset

    worker = started(Script(slow))
    assert worker.close(patience=0)  # 0.8 s, more than a call that hangs is given
    assert worker.last_error is None


def test_a_call_that_hangs_is_abandoned():
    answer = threading.Event()

    def hangs():
        answer.wait(30)
        yield 1

    script = Script(hangs)
    worker = started(script)
    assert not worker.close(patience=0.01)
    assert script.abandoned.is_set()
    answer.set()
    worker._thread.join(10)
    assert script.calls == 1  # the thread did no more when the call returned
    assert not script.sent_from_memory


def test_an_upload_is_given_time_for_its_size():
    answer = threading.Event()
    script = Script(lambda: iter([answer.wait(0.6)]))
    script.allowance = 5.0
    worker = started(script)
    assert worker.close(patience=0.1)


def test_an_opening_that_fails_for_good_names_its_key():
    script = Script(works)
    script.openings = [ValueError("no such thing")]
    worker = started(script)
    worker.wait_until_opened()
    assert str(worker.opening_error).startswith("tracking.uri must be a store in which MLflow can open a run (no such")
    assert worker.close(patience=1)
    assert script.calls == 0


def test_waiting_for_the_opening_ends_when_the_store_is_unavailable():
    script = Script(works)
    script.openings = [ConnectionError("refused")] * 1000
    worker = started(script)
    worker.wait_until_opened()
    assert script.run_id is None
    assert worker.opening_error is None
    assert worker.close(patience=0)


def test_what_fails_while_preparing_costs_nothing_else():
    script = Script(works)
    worker = Worker(script, script, STORE, prepare=lambda: 1 / 0)
    worker.start()
    assert worker.close(patience=1)
    assert list(script.failures) == ["the environment"]
    assert script.calls >= 1
