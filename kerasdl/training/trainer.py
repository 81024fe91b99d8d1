"""Training from the first epoch to the last: calls of the compiled loop, validation, callbacks, and word of it all.

The trainer measures and reports; who listens (the terminal, MLflow) is none of its business.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import numpy as np
import psutil

from kerasdl.errors import TrainingError
from kerasdl.training.averaging import averaged_weights
from kerasdl.training.callbacks import hooks_batches
from kerasdl.training.calls import CallLength
from kerasdl.training.interrupts import Interrupts
from kerasdl.training.loop import EvaluationLoop, Steps, TrainingLoop
from kerasdl.training.profiling import Profiling
from kerasdl.training.task import Sums, Task

Metrics = dict[str, float]


class Listener(Protocol):
    """Who wants to know how training goes. `step` counts all training steps so far."""

    def on_call(self, epoch: int, step: int, metrics: Metrics) -> None:
        """After each compiled call; `metrics` are those of the epoch so far."""

    def on_interval(self, step: int, metrics: Metrics, learning_rates: Sequence[float]) -> None:
        """Every `interval` steps and at the end; `metrics` and each step's learning rate are those of the interval."""

    def on_epoch(self, epoch: int, step: int, metrics: Metrics) -> None:
        """After each epoch and its validation."""


@dataclass
class History:
    """What happened.

    Attributes:
        epochs: for each metric its value in each epoch.
        losses: loss of every step.
        learning_rates: learning rate of every step.
        interrupted: whether Ctrl-C ended training.
        first_step_at: time (seconds since 1970) at which the first call, of one step, was done.
    """

    epochs: dict[str, list[float]] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    interrupted: bool = False
    first_step_at: float = 0.0


class Trainer:
    """Trains a task.

    Args:
        task: what a step computes.
        loop: its compiled training loop.
        train: the training split.
        validation: the compiled evaluation of the validation split, or None.
        callbacks: Keras callbacks.
        epochs: number of epochs.
        steps_per_call: `auto` or a number.
        interval: steps between two reports of `on_interval`.
        profiling: which steps to profile.
        listeners: who wants to know.
    """

    def __init__(
        self,
        *,
        task: Task,
        loop: TrainingLoop,
        train: Any,
        validation: EvaluationLoop | None,
        callbacks: Sequence[keras.callbacks.Callback],
        epochs: int,
        steps_per_call: str | int,
        interval: int,
        profiling: Profiling,
        listeners: Sequence[Listener],
    ):
        self._task = task
        self._loop = loop
        self._train = train
        self._validation = validation
        self._epochs = epochs
        self._interval = interval
        self._profiling = profiling
        self._listeners = listeners
        # A callback that hooks batches gets a call for each, as Keras's own `fit` would give it.
        self._by_batch = hooks_batches(callbacks)
        self._calls = CallLength(1 if self._by_batch else steps_per_call)
        task.model.compile(optimizer=task.optimizer)  # callbacks look for model.optimizer
        self._callbacks = keras.callbacks.CallbackList(
            list(callbacks), model=task.model, epochs=epochs, steps=train.steps, verbose=0
        )
        self._step = 0
        self._since_interval = _Tally()
        self.history = History()

    def fit(self) -> History:
        """Trains to the last epoch, a callback's stop, or Ctrl-C.

        Raises:
            TrainingError: the loss isn't finite any more.
        """
        with Interrupts() as interrupts:
            self._task.model.stop_training = False
            self._callbacks.on_train_begin()
            logs: Metrics = {}
            try:
                for epoch in range(self._epochs):
                    finished = self._run_epoch(epoch, interrupts)
                    logs = finished or logs
                    if interrupts.requested or self._task.model.stop_training:
                        break
            finally:
                self.history.interrupted = interrupts.requested
                self._profiling.stop()
                if self._since_interval.steps:
                    self._report_interval()
            # The averaged weights are the result; a callback may still prefer those of an earlier epoch.
            self._task.optimizer.finalize_variable_values(self._task.model.trainable_weights)
            self._callbacks.on_train_end(logs)
        return self.history

    def _run_epoch(self, epoch: int, interrupts: Interrupts) -> Metrics | None:
        """Trains, validates and reports one epoch; None if Ctrl-C came before its end."""
        self._callbacks.on_epoch_begin(epoch)
        metrics = self._train_epoch(epoch, interrupts)
        if interrupts.requested:
            return None
        # Validation and the callbacks of an epoch's end look at the averaged weights, if the optimizer keeps them.
        with averaged_weights(self._task.model, self._task.optimizer):
            if self._validation is not None:
                self._callbacks.on_test_begin()
                try:
                    results = self._task.results(self._validation.run(stop=lambda: interrupts.requested))
                except KeyboardInterrupt:
                    interrupts.requested = True
                    return None
                self._callbacks.on_test_end(results)
                metrics.update({f"val_{name}": value for name, value in results.items()})
            for name, value in metrics.items():
                self.history.epochs.setdefault(name, []).append(value)
            for listener in self._listeners:
                listener.on_epoch(epoch, self._step, dict(metrics))
            self._callbacks.on_epoch_end(epoch, dict(metrics))
        return metrics

    def _train_epoch(self, epoch: int, interrupts: Interrupts) -> Metrics:
        handle = self._train.epoch(epoch)
        total, done = _Tally(), 0
        start = mark = time.perf_counter()
        while done < self._train.steps and not interrupts.requested:
            self._profiling.at(self._step)
            remaining = [self._train.steps - done, self._interval - self._step % self._interval]
            count = self._calls.next(int(min(*remaining, self._profiling.distance(self._step))))
            if self._by_batch:
                self._callbacks.on_train_batch_begin(done)
            called = time.perf_counter()
            steps = self._loop.run(handle, done, count)
            now = time.perf_counter()
            self._calls.record(count, now - called)
            self.history.first_step_at = self.history.first_step_at or time.time()
            done += len(steps.losses)
            self._record(steps, total, now - mark)  # with what listeners and callbacks took since the last call
            mark = now
            self._check_finite(steps, epoch, done)
            so_far = self._task.results(total.sums)
            if self._by_batch:
                self._callbacks.on_train_batch_end(done - 1, so_far)
                if self._task.model.stop_training:
                    break
            for listener in self._listeners:
                listener.on_call(epoch, self._step, {**so_far, "images_per_second": total.images_per_second()})
            if self._step % self._interval == 0:
                self._report_interval()
        if not total.sums:
            return {}
        return {
            **self._task.results(total.sums),
            "learning_rate": float(self.history.learning_rates[-1]),
            "images_per_second": total.images_per_second(),
            "seconds": time.perf_counter() - start,
        }

    def _record(self, steps: Steps, total: "_Tally", seconds: float) -> None:
        self._step += len(steps.losses)
        self.history.losses += steps.losses.tolist()
        self.history.learning_rates += steps.learning_rates.tolist()
        for sums in (total, self._since_interval):
            sums.add(steps, seconds)

    def _report_interval(self) -> None:
        passed = self._since_interval
        metrics = {
            **{f"interval/{name}": value for name, value in self._task.results(passed.sums).items()},
            "interval/images_per_second": passed.images_per_second(),
            "interval/memory_gb": psutil.Process().memory_info().rss / 1e9,
        }
        for listener in self._listeners:
            listener.on_interval(self._step, metrics, self.history.learning_rates[-passed.steps :])
        self._since_interval = _Tally()

    def _check_finite(self, steps: Steps, epoch: int, done: int) -> None:
        if np.isfinite(steps.losses[-1]):
            return
        examples = ", ".join(map(str, self._train.indices(epoch, done - 1)[:8]))
        raise TrainingError(
            f"the loss is {steps.losses[-1]} at step {self._step - 1} (epoch {epoch + 1}, batch {done} of "
            f"{self._train.steps}; training examples {examples}, ...). Try a smaller optimizer.learning_rate or "
            "optimizer.global_clipnorm=1; debug=nan names the operation."
        )


class _Tally:
    """Statistics added up in float64, the number of steps, and the seconds that they took."""

    def __init__(self) -> None:
        self.sums: Sums = {}
        self.steps = 0
        self.seconds = 0.0

    def add(self, steps: Steps, seconds: float) -> None:
        for name, value in steps.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.astype(np.float64)
        self.steps += len(steps.losses)
        self.seconds += seconds

    def images_per_second(self) -> float:
        return float(self.sums["count"]) / self.seconds
