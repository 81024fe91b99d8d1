"""A thread that writes what training hands it, in order and in large batches.

Training must not wait for a database or a server: it puts a job into a queue and goes on. The worker rests between
two rounds so that metrics gather into few batches, tries again while a store is away for a time, and remembers what
it couldn't write. It knows nothing of MLflow.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

REST_SECONDS = 1.0
# The pause before a job is tried again, in training and at the end of a run, which somebody waits for.
RETRY_SECONDS = 5.0
FINAL_RETRY_SECONDS = 1.0
# How long the end of a run waits for a store that is away.
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Job:
    """One thing to write; `name` says to a user what it is."""

    name: str
    run: Callable[[], None]


@dataclass(frozen=True)
class Failure:
    """A job that couldn't be done."""

    name: str
    error: Exception


class Worker:
    """Runs jobs one after another on a daemon thread.

    Args:
        write_points: writes a batch of points, at most `batch_size` of them, each as given to `put_points`.
        is_temporary: says of an exception whether the same job may succeed later.
        batch_size: the most points in one batch.
    """

    def __init__(
        self, write_points: Callable[[Sequence[Any]], None], is_temporary: Callable[[Exception], bool], batch_size: int
    ):
        self.failures: list[Failure] = []
        self._write_points = write_points
        self._is_temporary = is_temporary
        self._batch_size = batch_size
        self._queue: queue.SimpleQueue[Job | list[Any] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._store_is_away = False
        self._thread = threading.Thread(target=self._work, name="kerasdl-tracking", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, name: str, run: Callable[[], None]) -> None:
        self._queue.put(Job(name, run))

    def put_points(self, points: list[Any]) -> None:
        self._queue.put(points)

    def close(self) -> None:
        """Returns when everything put so far has been written or has failed. May be called again."""
        if not self._closing.is_set():
            self._deadline = time.monotonic() + PATIENCE_SECONDS
            self._closing.set()
            self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        closed = False
        while not closed:
            items = [self._queue.get()]
            if not isinstance(items[0], Job):
                self._closing.wait(REST_SECONDS)
            # Nobody else takes from the queue, so what isn't empty has an item ready.
            while not self._queue.empty():
                items.append(self._queue.get())
            closed = None in items
            points: list[Any] = []
            for item in items:
                if isinstance(item, list):
                    points += item
                else:
                    self._run_points(points)
                    points = []
                    if item is not None:
                        self._run(item)
            self._run_points(points)

    def _run_points(self, points: list[Any]) -> None:
        for start in range(0, len(points), self._batch_size):
            batch = points[start : start + self._batch_size]
            self._run(Job(f"{len(batch)} metric values", partial(self._write_points, batch)))

    def _run(self, job: Job) -> None:
        """Runs `job`, again and again while its failure is temporary and there is time."""
        while not self._store_is_away:
            try:
                return job.run()
            except Exception as error:
                if not self._is_temporary(error):
                    self.failures.append(Failure(job.name, error))
                    return
                if time.monotonic() > self._deadline:
                    self._store_is_away = True
                    self.failures.append(Failure(job.name, error))
                    return
            if self._closing.wait(RETRY_SECONDS):
                time.sleep(FINAL_RETRY_SECONDS)
        self.failures.append(Failure(job.name, ConnectionError("the store had stopped answering")))
