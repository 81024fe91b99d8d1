"""The two balls that an attack may move in: random start, step and projection, for each norm.

Everything is in pixels (0..255) and about the change of an image, not the image: `kerasdl.attacks.attack` keeps images
within 0..255.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf


class Ball(Protocol):
    """All changes of an image whose norm is at most `radius` pixels. Changes are float32 (b, h, w, c)."""

    def random(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns changes of that shape, uniformly distributed in the ball; `seed` is int32 [2]."""

    def ascent(self, gradient: tf.Tensor) -> tf.Tensor:
        """Returns the change of norm 1 that a linear function with this gradient rises most by; 0 where it is flat."""

    def project(self, change: tf.Tensor) -> tf.Tensor:
        """Returns the nearest changes inside the ball."""


@dataclass(frozen=True)
class MaxBall:
    """L-infinity: no pixel changes by more than `radius`."""

    radius: float | tf.Tensor

    def random(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, seed, -self.radius, self.radius)

    def ascent(self, gradient: tf.Tensor) -> tf.Tensor:
        return tf.sign(gradient)

    def project(self, change: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(change, -self.radius, self.radius)


@dataclass(frozen=True)
class EuclideanBall:
    """L2: the root of the summed squares of an image's changes is at most `radius`."""

    radius: float | tf.Tensor

    def random(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        directions, distances = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        direction = self.ascent(tf.random.stateless_normal(shape, directions))
        # Volume grows with the distance to the power of the dimension: few points lie near the middle.
        share = tf.random.stateless_uniform([shape[0], 1, 1, 1], distances)
        return self.radius * share ** (1 / tf.cast(tf.reduce_prod(shape[1:]), tf.float32)) * direction

    def ascent(self, gradient: tf.Tensor) -> tf.Tensor:
        # Scaled to 1 first: the squares of a confident network's gradient would vanish in float32.
        largest = tf.reduce_max(tf.abs(gradient), axis=(1, 2, 3), keepdims=True)
        scaled = tf.math.divide_no_nan(gradient, largest)
        return tf.math.divide_no_nan(scaled, _norm(scaled))

    def project(self, change: tf.Tensor) -> tf.Tensor:
        return change * tf.minimum(1.0, tf.math.divide_no_nan(self.radius, _norm(change)))


def _norm(change: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(change), axis=(1, 2, 3), keepdims=True))


NORMS: dict[str, Callable[[float | tf.Tensor], Ball]] = {"linf": MaxBall, "l2": EuclideanBall}
