"""The compiled loop: many steps a call, one round trip to Python an interval.

A `tf.while_loop` inside one `tf.function` gathers each batch from the data, sets the learning rate, runs the task's
step and adds up its statistics on the device. It stops at the first loss that isn't finite. The number of steps is an
argument, so calls of any length share one trace. A call takes the sums so far and returns them, in float64: every step
is added to the same sum in the same order, however many steps a call has.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasdl.data.splits import batch_spec
from kerasdl.training.pacing import StepsPerExecution
from kerasdl.training.schedules import Schedule
from kerasdl.training.task import Batch, Evaluated, Statistics, Sums, Task


class Steps(NamedTuple):
    """The results of one call.

    Attributes:
        totals: for each of the sums given, that sum plus the statistics of the steps.
        losses: float32 (steps,), each step's loss.
        learning_rates: float32 (steps,), the learning rate that each step used.
    """

    totals: tuple[Sums, ...]
    losses: np.ndarray
    learning_rates: np.ndarray


class TrainingLoop:
    """Runs training steps, and holds the state that they change besides the task's own.

    Args:
        task: what a step computes.
        split: the training split, a `kerasdl.data.splits.Split`.
        schedule: gives the factor of the learning rates at each step.
        jit: compile the step with XLA.
    """

    def __init__(self, task: Task, split: Any, schedule: Schedule, jit: bool):
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.learning_rate_scale = tf.Variable(1.0, trainable=False, name="learning_rate_scale")
        self._task = task
        self._split = split
        self._schedule = schedule
        self._base_rates = {role: float(optimizer.learning_rate) for role, optimizer in task.optimizers.items()}
        self._set_rate = next(iter(self._base_rates.values()))
        self._train_step = tf.function(task.train_step, autograph=False, jit_compile=True) if jit else task.train_step
        self._call = tf.function(self._steps, autograph=False, reduce_retracing=True)

    @property
    def _optimizer(self) -> Any:
        """The optimizer whose learning rate is logged, and changed by callbacks."""
        return next(iter(self._task.optimizers.values()))

    def run(self, handle: Any, first: int, count: int, *totals: Sums) -> Steps:
        """Runs `count` steps of an epoch, from step `first` of the epoch on.

        It ends early after the first step whose loss isn't finite; that loss is then the last of `losses`.

        Args:
            handle: of that epoch, from the split's `epoch`.
            first: number of the first step, counted from 0 in the epoch.
            count: number of steps.
            totals: sums so far, float64, to which the steps are added; by default a single one of zeros.
        """
        self.adopt_learning_rate()
        totals = totals or (_zeros(self._task.shapes(training=True)),)
        sums_so_far = tf.nest.map_structure(tf.constant, totals)
        done, sums, losses, rates = self._call(handle, tf.constant(first, tf.int64), tf.constant(count), sums_so_far)
        done = int(done)
        self._set_rate = float(self._optimizer.learning_rate)
        return Steps(tuple(map(_to_numpy, sums)), losses.numpy()[:done], rates.numpy()[:done])

    def adopt_learning_rate(self) -> None:
        """Adopts a change of `optimizer.learning_rate` by a callback: from here on it scales the schedule."""
        current = float(self._optimizer.learning_rate)
        if current != self._set_rate and self._set_rate:
            self.learning_rate_scale.assign(self.learning_rate_scale * (current / self._set_rate))
        self._set_rate = current

    def learning_rate_was_restored(self) -> None:
        """Takes the optimizer's learning rate as restored with the scale, and not as changed by a callback."""
        self._set_rate = float(self._optimizer.learning_rate)

    def scale_learning_rate(self, factor: float) -> None:
        """Multiplies the learning rate of all further steps."""
        self.learning_rate_scale.assign(self.learning_rate_scale * factor)

    def _steps(self, handle: Any, first: tf.Tensor, count: tf.Tensor, totals: tuple[Statistics, ...]) -> tuple:
        series = [tf.TensorArray(tf.float32, count, element_shape=()) for _ in range(2)]

        def unfinished(done, finite, *_):
            return tf.logical_and(done < count, finite)

        def body(done, _, totals, losses, logged_rates):
            rates = [rate * self._schedule(self.step) * self.learning_rate_scale for rate in self._base_rates.values()]
            for optimizer, rate in zip(self._task.optimizers.values(), rates, strict=True):
                optimizer.learning_rate = rate
            batch = self._split.batch(handle, first + tf.cast(done, tf.int64))
            statistics = self._train_step(self._task.prepare(batch, tf.convert_to_tensor(self.step)))
            self.step.assign_add(1)
            loss = statistics["loss"] / statistics["count"]
            return (
                done + 1,
                tf.math.is_finite(loss),
                tuple(_add(total, statistics) for total in totals),
                losses.write(done, loss),
                logged_rates.write(done, rates[0]),
            )

        start = (tf.constant(0), tf.constant(True), totals, *series)
        done, _, totals, losses, rates = tf.while_loop(unfinished, body, start, parallel_iterations=1)
        return done, totals, losses.stack(), rates.stack()


class EvaluationLoop:
    """Measures a whole split: the statistics of all its examples, added.

    `run` and `batches` call the same compiled function, with different numbers of steps. So a later evaluation of
    single examples has the same sums as the one at the end of training, to the bit.

    Args:
        task: what a step computes.
        split: the split, a `kerasdl.data.splits.Split`.
        jit: compile the step with XLA.
    """

    def __init__(self, task: Task, split: Any, jit: bool):
        self._task = task
        self._split = split
        self._spec = batch_spec(split.features)
        self._evaluation_step = tf.function(
            task.evaluation_step, input_signature=[self._spec], autograph=False, jit_compile=jit or None
        )
        self._call = tf.function(self._steps, autograph=False, reduce_retracing=True)

    def run(self, stop: Callable[[], bool] = lambda: False) -> Evaluated:
        """Returns the sums of the whole split, in float64, and its first batch with the task's outputs for it.

        Args:
            stop: checked between calls of about half a second; True ends the evaluation.

        Raises:
            KeyboardInterrupt: `stop` returned True.
        """
        handle, done, calls = self._split.epoch(0), 0, StepsPerExecution("auto")
        total = _zeros(self._task.shapes(training=False))
        first: tuple[Batch, Batch] | None = None
        while done < self._split.steps:
            if stop():
                raise KeyboardInterrupt
            count, start = calls.next(self._split.steps - done), time.perf_counter()
            total, last = self._run(handle, done, count, total)
            first = first or last  # the first call is of one batch
            done += count
            calls.record(count, time.perf_counter() - start)
        assert first is not None
        return Evaluated(total, *map(_to_numpy, first))

    def first(self) -> Evaluated:
        """Returns the evaluation of the first batch of the split."""
        return next(self.batches())

    def batches(self) -> Iterator[Evaluated]:
        """Yields each batch of the split, with the sums up to and including it, in float64; one call for each batch."""
        handle, total = self._split.epoch(0), _zeros(self._task.shapes(training=False))
        for step in range(self._split.steps):
            total, examples = self._run(handle, step, 1, total)
            yield Evaluated(total, *map(_to_numpy, examples))

    def _run(self, handle: Any, first: int, count: int, total: Sums) -> tuple[Sums, tuple[Batch, Batch]]:
        """Returns the sums plus those of `count` steps, and the last step's batch and outputs on the device."""
        so_far = tf.nest.map_structure(tf.constant, total)
        sums, *examples = self._call(handle, tf.constant(first, tf.int64), tf.constant(count), so_far)
        return _to_numpy(sums), tuple(examples)

    def _steps(self, handle: Any, first: tf.Tensor, count: tf.Tensor, total: Statistics) -> tuple:
        def body(done, sums, *_):
            batch = self._split.batch(handle, first + tf.cast(done, tf.int64))
            statistics, outputs = self._evaluation_step(batch)
            return done + 1, _add(sums, statistics), batch, outputs

        _, outputs = self._evaluation_step.get_concrete_function().structured_outputs
        empty = tf.nest.map_structure(lambda spec: tf.zeros([0, *spec.shape[1:]], spec.dtype), (self._spec, outputs))
        shapes = tf.nest.map_structure(lambda spec: tf.TensorShape([None, *spec.shape[1:]]), (self._spec, outputs))
        return tf.while_loop(
            lambda done, *_: done < count,
            body,
            (tf.constant(0), total, *empty),
            (tf.TensorShape([]), {name: tf.TensorShape(value.shape) for name, value in total.items()}, *shapes),
            parallel_iterations=1,
        )[1:]


def _add(total: Statistics, statistics: Statistics) -> Statistics:
    return {name: total[name] + tf.cast(statistics[name], tf.float64) for name in total}


def _zeros(shapes: Mapping[str, tuple[int, ...]]) -> Sums:
    return {name: np.zeros(shape, np.float64) for name, shape in shapes.items()}


def _to_numpy(statistics: Statistics) -> Sums:
    return {name: value.numpy() for name, value in statistics.items()}
