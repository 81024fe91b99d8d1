"""An executor without processes: trials "train" along given curves, one evaluation at a time, in a fixed order."""

from collections.abc import Callable, Sequence
from typing import Any

from kerasdl.sweeps.executors.executor import Ended, Evaluation, TrialJob


class Clock:
    """A clock that moves only when something happens; in seconds."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


class InMemoryExecutor:
    """An `Executor` that gives each call of `events` one event of each running trial, in the order of their starts.

    Attributes:
        started: the jobs in the order in which they were started.
        most: the largest number of trials that ran at once.
        checkpoints: epochs that are done, by the name of the run; another executor can resume from them.
        closed: whether `close` was called.

    Args:
        curve: gives a trial's `val_accuracy` at each epoch, by its configuration; at an exception the trial fails.
        slots: trials at once.
        seconds: how long an epoch takes, by the clock.
        clock: moved with each call of `events`.
        on_event: called with each event before it is yielded.
    """

    def __init__(
        self,
        curve: Callable[[Any], Sequence[float | Exception]],
        slots: int = 2,
        seconds: float = 1.0,
        clock: Clock | None = None,
        on_event: Callable[[Evaluation | Ended], None] = lambda event: None,
    ):
        self.slots = slots
        self.started: list[TrialJob] = []
        self.most = 0
        self.closed = False
        self._curve = curve
        self._seconds = seconds
        self._clock = clock or Clock()
        self._on_event = on_event
        self._running: dict[int, _Trial] = {}
        self.checkpoints: dict[str, int] = {}  # epochs that are done, by the name of the run

    def describe(self):
        return "nothing of the machine"

    def warm_up(self):
        assert not self.started

    def start(self, job):
        assert len(self._running) < self.slots
        assert job.number not in self._running
        self.started.append(job)
        self._running[job.number] = _Trial(job, [*self._curve(job.config)], self.checkpoints.get(job.name, 0))
        self.most = max(self.most, len(self._running))

    def events(self, timeout):
        self._clock.seconds += self._seconds if self._running else timeout
        for trial in list(self._running.values()):
            trial.seconds += self._seconds
            event = trial.next_event()
            if isinstance(event, Ended):
                del self._running[event.number]
                self.checkpoints[trial.job.name] = trial.epoch
            self._on_event(event)
            yield event
            assert isinstance(event, Ended) or trial.replies == 1, "an evaluation has exactly one reply"

    def stop(self, number):
        self._running[number].stopped = True

    def close(self):
        self._running.clear()
        self.closed = True


class _Trial:
    def __init__(self, job, curve, epoch):
        self.job, self.curve, self.epoch = job, curve, epoch
        self.stopped = self.pruned = False
        self.seconds = 0.0
        self.replies = 0

    def next_event(self):
        if self.stopped or self.pruned or self.epoch == len(self.curve):
            status = "PRUNED" if self.pruned else "FINISHED" if self.epoch == len(self.curve) else "KILLED"
            metrics = {"val_accuracy": self.curve[self.epoch - 1]} if self.epoch else {}
            return Ended(self.job.number, status, metrics, self.seconds)
        value = self.curve[self.epoch]
        if isinstance(value, Exception):
            return Ended(self.job.number, "FAILED", seconds=self.seconds, error=str(value), trace=repr(value))
        self.epoch += 1
        self.replies = 0
        return Evaluation(self.job.number, self.epoch, 10 * self.epoch, {"val_accuracy": value}, self._reply)

    def _reply(self, prune):
        self.replies += 1
        self.pruned = prune and self.epoch < len(self.curve)
