"""Learning rate schedules: the factor that multiplies the optimizer's learning rate, a pure function of the step.

A schedule has no state, so training that resumes at a step has that step's learning rate. Lengths are in epochs or
steps (`unit`). The schedule itself begins after a linear warm-up from 0.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """The base class of all schedules.

    Args:
        unit: of `warmup` and the lengths: `epochs` or `steps`.
        warmup: length of the linear rise, >= 0: step s of n warm-up steps has the factor (s + 1) / n.
        steps_per_epoch: training steps per epoch.
        total_steps: steps of the whole training.
    """

    unit: str = "epochs"
    warmup: float = 0.0
    steps_per_epoch: int
    total_steps: int

    def steps(self, length: float) -> float:
        """Returns `length`, given in `unit`, in steps."""
        return length * self.steps_per_epoch if self.unit == "epochs" else length

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the factor, a float32 scalar, for `step`, an int64 scalar counted from 0."""
        time = tf.cast(step, tf.float32)
        warmup = math.ceil(self.steps(self.warmup))
        factor = self.factor_at(tf.maximum(time - warmup, 0.0))
        return tf.where(time < warmup, (time + 1.0) / max(warmup, 1), factor)

    @abstractmethod
    def factor_at(self, time: tf.Tensor) -> tf.Tensor:
        """Returns the factor `time` steps after the warm-up's end."""


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The learning rate is constant."""

    def factor_at(self, time: tf.Tensor) -> tf.Tensor:
        return tf.ones_like(time)


@dataclass(frozen=True, kw_only=True)
class Step(Schedule):
    """The learning rate is multiplied by `factor` after every `every`."""

    every: float = 10.0
    factor: float = 0.1

    def factor_at(self, time: tf.Tensor) -> tf.Tensor:
        return tf.pow(self.factor, tf.floor(time / self.steps(self.every)))


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """The learning rate decays smoothly, by `factor` over each length of `every`."""

    every: float = 1.0
    factor: float = 0.95

    def factor_at(self, time: tf.Tensor) -> tf.Tensor:
        return tf.pow(self.factor, time / self.steps(self.every))


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine down to `final`, over `length` or to the end of training (Loshchilov and Hutter 2017)."""

    length: float | None = None
    final: float = 0.0

    def factor_at(self, time: tf.Tensor) -> tf.Tensor:
        rest = self.total_steps - math.ceil(self.steps(self.warmup))
        length = max(self.steps(self.length) if self.length else rest, 1)
        cosine = 0.5 * (1.0 + tf.cos(math.pi * tf.minimum(time / length, 1.0)))
        return self.final + (1.0 - self.final) * cosine
