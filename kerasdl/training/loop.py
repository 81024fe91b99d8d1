"""The compiled loop: many steps a call, one round trip to Python an interval.

A `tf.while_loop` inside one `tf.function` gathers each batch from data that is already there, sets the learning rate,
runs the task's step and adds up its statistics on the device. It stops by itself at the first loss that isn't finite.
The number of steps is an argument, so calls of any length share one trace. Sums go into a call and come out of it, in
float64: every step is added to the same sum in the same order, however the steps are cut into calls.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasdl.seeds import derive
from kerasdl.training.calls import CallLength
from kerasdl.training.schedules import Schedule
from kerasdl.training.task import Statistics, Sums, Task


class Steps(NamedTuple):
    """What one call did.

    Attributes:
        totals: for each of the sums given, that sum with the statistics of its steps added.
        losses: float32 (steps,), each step's loss.
        learning_rates: float32 (steps,), the learning rate that each step used.
    """

    totals: tuple[Sums, ...]
    losses: np.ndarray
    learning_rates: np.ndarray


class TrainingLoop:
    """Runs training steps, and holds what they change beyond the task's own weights.

    Args:
        task: what a step computes.
        split: gives batches: `epoch(epoch, start_step)` a handle, `batch(handle, step)` a batch in the graph.
        schedule: factor of the learning rate.
        augmentation: (images float32, seed int32 [2]) -> images, or None.
        seed: the run's seed; step s augments with (derive(seed, "augmentation"), s).
        jit: compile the step with XLA.
        adversary: (images float32 in 0..255, labels, step) -> images, or None; it comes behind the augmentation.
    """

    def __init__(
        self,
        task: Task,
        split: Any,
        schedule: Schedule,
        augmentation: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None,
        seed: int,
        jit: bool,
        adversary: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    ):
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.learning_rate_scale = tf.Variable(1.0, trainable=False, name="learning_rate_scale")
        self._task = task
        self._split = split
        self._schedule = schedule
        self._augmentation = augmentation
        self._augmentation_seed = derive(seed, "augmentation")
        self._adversary = tf.function(adversary, autograph=False, jit_compile=True) if adversary and jit else adversary
        self._base_rate = float(task.optimizer.learning_rate)
        self._set_rate = self._base_rate
        self._train_step = tf.function(task.train_step, autograph=False, jit_compile=True) if jit else task.train_step
        self._call = tf.function(self._steps, autograph=False, reduce_retracing=True)

    def run(self, handle: Any, first: int, count: int, *totals: Sums) -> Steps:
        """Runs `count` steps of an epoch, the first of which has the number `first` in it.

        It ends early behind the first step whose loss isn't finite, which is then the last of `losses`.

        Args:
            handle: the split's, for that epoch.
            first: number of the first step.
            count: number of steps.
            totals: sums so far, float64, to which the steps are added; a single one of zeros if none is given.
        """
        self.adopt_learning_rate()
        totals = totals or (_zeros(self._task.shapes(training=True)),)
        sums_so_far = tf.nest.map_structure(tf.constant, totals)
        done, sums, losses, rates = self._call(handle, tf.constant(first, tf.int64), tf.constant(count), sums_so_far)
        done = int(done)
        self._set_rate = float(self._task.optimizer.learning_rate)
        return Steps(tuple(map(_to_numpy, sums)), losses.numpy()[:done], rates.numpy()[:done])

    def adopt_learning_rate(self) -> None:
        """Takes over a change of `optimizer.learning_rate` by a callback: from here on it scales the schedule."""
        current = float(self._task.optimizer.learning_rate)
        if current != self._set_rate and self._set_rate:
            self.learning_rate_scale.assign(self.learning_rate_scale * (current / self._set_rate))
        self._set_rate = current

    def learning_rate_was_restored(self) -> None:
        """Tells the loop that the optimizer's learning rate now belongs to the present scale."""
        self._set_rate = float(self._task.optimizer.learning_rate)

    def scale_learning_rate(self, factor: float) -> None:
        """Multiplies the learning rate of all further steps."""
        self.learning_rate_scale.assign(self.learning_rate_scale * factor)

    def _steps(self, handle: Any, first: tf.Tensor, count: tf.Tensor, totals: tuple[Statistics, ...]) -> tuple:
        series = [tf.TensorArray(tf.float32, count, element_shape=()) for _ in range(2)]

        def unfinished(done, finite, *_):
            return tf.logical_and(done < count, finite)

        def body(done, _, totals, losses, rates):
            rate = self._base_rate * self._schedule(self.step) * self.learning_rate_scale
            self._task.optimizer.learning_rate = rate
            images, labels = self._split.batch(handle, first + tf.cast(done, tf.int64))
            statistics = self._train_step(self._attacked(self._augmented(images), labels), labels)
            self.step.assign_add(1)
            loss = statistics["loss"] / statistics["count"]
            return (
                done + 1,
                tf.math.is_finite(loss),
                tuple(_add(total, statistics) for total in totals),
                losses.write(done, loss),
                rates.write(done, rate),
            )

        start = (tf.constant(0), tf.constant(True), totals, *series)
        done, _, totals, losses, rates = tf.while_loop(unfinished, body, start, parallel_iterations=1)
        return done, totals, losses.stack(), rates.stack()

    def _augmented(self, images: tf.Tensor) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        if self._augmentation is None:
            return images
        return self._augmentation(images, tf.stack([self._augmentation_seed, tf.cast(self.step, tf.int32)]))

    def _attacked(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        if self._adversary is None:
            return images
        return self._adversary(images, labels, tf.convert_to_tensor(self.step))


class Batch(NamedTuple):
    """Examples, and what the network gives for them.

    Attributes:
        images: uint8 (b, h, w, c).
        labels: int64 (b,).
        logits: float32 (b, classes).
    """

    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray


class EvaluationLoop:
    """Measures a whole split: the statistics of all its examples, added.

    `run` and `batches` call the same compiled function, and only cut the split into other calls. So a later look at
    single examples has the sums of the evaluation at training's end, to the bit.

    Args:
        task: what a step computes.
        split: gives batches; see `TrainingLoop`.
        jit: compile the step with XLA.
    """

    def __init__(self, task: Task, split: Any, jit: bool):
        step = task.evaluation_step
        self._task = task
        self._split = split
        self._evaluation_step = tf.function(step, autograph=False, jit_compile=True) if jit else step
        self._call = tf.function(self._steps, autograph=False, reduce_retracing=True)

    def run(self, stop: Callable[[], bool] = lambda: False) -> Sums:
        """Returns the sums, in float64.

        Args:
            stop: asked between calls of about half a second.

        Raises:
            KeyboardInterrupt: `stop` said so.
        """
        handle, done, calls = self._split.epoch(0), 0, CallLength("auto")
        total = _zeros(self._task.shapes(training=False))
        while done < self._split.steps:
            if stop():
                raise KeyboardInterrupt
            count, start = calls.next(self._split.steps - done), time.perf_counter()
            total, _ = self._run(handle, done, count, total)
            done += count
            calls.record(count, time.perf_counter() - start)
        return total

    def batches(self) -> Iterator[tuple[Sums, Batch]]:
        """Yields each batch of the split, with the sums up to and with it, in float64: a call a batch."""
        handle, total = self._split.epoch(0), _zeros(self._task.shapes(training=False))
        for step in range(self._split.steps):
            total, batch = self._run(handle, step, 1, total)
            yield total, Batch(*(part.numpy() for part in batch))

    def _run(self, handle: Any, first: int, count: int, total: Sums) -> tuple[Sums, tuple[tf.Tensor, ...]]:
        """Returns the sums with those of `count` steps added, and the last step's batch, still on the device."""
        so_far = tf.nest.map_structure(tf.constant, total)
        sums, *batch = self._call(handle, tf.constant(first, tf.int64), tf.constant(count), so_far)
        return _to_numpy(sums), tuple(batch)

    def _steps(self, handle: Any, first: tf.Tensor, count: tf.Tensor, total: Statistics) -> tuple:
        def body(done, sums, *_):
            images, labels = self._split.batch(handle, first + tf.cast(done, tf.int64))
            statistics, logits = self._evaluation_step(tf.cast(images, tf.float32), labels)
            return done + 1, _add(sums, statistics), images, labels, tf.cast(logits, tf.float32)

        shape = self._split.image_shape
        empty = tf.zeros([0, *shape], tf.uint8), tf.zeros([0], tf.int64), tf.zeros([0, 0], tf.float32)
        sizes = tf.TensorShape([None, *shape]), tf.TensorShape([None]), tf.TensorShape([None, None])
        return tf.while_loop(
            lambda done, *_: done < count,
            body,
            (tf.constant(0), total, *empty),
            (tf.TensorShape([]), {name: tf.TensorShape(value.shape) for name, value in total.items()}, *sizes),
            parallel_iterations=1,
        )[1:]


def _add(total: Statistics, statistics: Statistics) -> Statistics:
    return {name: total[name] + tf.cast(statistics[name], tf.float64) for name in total}


def _zeros(shapes: Mapping[str, tuple[int, ...]]) -> Sums:
    return {name: np.zeros(shape, np.float64) for name, shape in shapes.items()}


def _to_numpy(statistics: Statistics) -> Sums:
    return {name: value.numpy() for name, value in statistics.items()}
