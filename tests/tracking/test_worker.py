import threading
import time

import pytest

from kerasdl.tracking import worker as worker_module
from kerasdl.tracking.worker import Worker


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(worker_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(worker_module, "FINAL_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(worker_module, "PATIENCE_SECONDS", 0.2)


def is_temporary(error):
    return isinstance(error, ConnectionError)


def test_everything_is_written_in_order_and_in_batches():
    written = []
    worker = Worker(lambda points: written.append(list(points)), is_temporary, batch_size=10)
    worker.put("first", lambda: written.append("first"))
    for number in range(25):
        worker.put_points([number])
    worker.put("second", lambda: written.append("second"))
    worker.put_points([25])
    worker.start()
    worker.close()
    assert written == ["first", list(range(10)), list(range(10, 20)), list(range(20, 25)), "second", [25]]
    assert worker.failures == []


def test_points_gather_while_the_worker_rests(monkeypatch):
    monkeypatch.setattr(worker_module, "REST_SECONDS", 0.5)
    batches = []
    worker = Worker(lambda points: batches.append(len(points)), is_temporary, batch_size=1000)
    worker.start()
    for _ in range(100):
        worker.put_points([0])
        time.sleep(0.001)
    worker.close()
    assert sum(batches) == 100
    assert len(batches) <= 2


def test_a_job_is_tried_again_while_the_store_is_away():
    done = threading.Event()
    attempts = []

    def job():
        attempts.append(1)
        if len(attempts) < 4:
            raise ConnectionError("away")
        done.set()

    worker = Worker(lambda points: None, is_temporary, 10)
    worker.start()
    worker.put("job", job)
    assert done.wait(5)
    worker.close()
    assert len(attempts) == 4
    assert worker.failures == []


def test_a_failure_does_not_cost_the_jobs_behind_it():
    done = []
    worker = Worker(lambda points: done.append(points), is_temporary, 10)
    worker.start()
    worker.put("bad", lambda: 1 / 0)
    worker.put("good", lambda: done.append("good"))
    worker.close()
    assert done == ["good"]
    assert [(failure.name, type(failure.error)) for failure in worker.failures] == [("bad", ZeroDivisionError)]


def test_a_store_that_stays_away_is_given_up_soon_after_closing():
    def away():
        raise ConnectionError("away")

    worker = Worker(lambda points: away(), is_temporary, 10)
    worker.start()
    worker.put("job", away)
    for number in range(100):
        worker.put_points([number])
    start = time.monotonic()
    worker.close()
    assert time.monotonic() - start < 2.0
    assert worker.failures[0].name == "job"
    assert len(worker.failures) == 11
