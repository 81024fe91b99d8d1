"""Runs a network on the same examples again and again: clean, attacked and corrupted; reports which are right.

The attacks are `kerasdl.attacks`, the corruptions `kerasdl.robustness.corruptions`. Names and looks of the results are
left to `scores`, `tables` and `pictures`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from kerasdl.attacks import Attack
from kerasdl.measures import predictions
from kerasdl.robustness.corruptions import corrupt
from kerasdl.robustness.scores import Score

# Images at once. It is fixed, because what an attack draws at random depends on it, and small enough for the gradients
# of a deep network on large images; more made the MNIST network no faster.
BATCH = 100
# Examples that are drawn: the first of each of so many classes.
SHOWN = 8


@dataclass(frozen=True)
class Outcome:
    """A network's predictions for examples that are clean, attacked or corrupted.

    Attributes:
        correct: bool (n,).
        images: uint8 (k, h, w, c), those of them that are drawn; real numbers are rounded.
        predicted: int64 (k,), their classes; -1 where the network gives NaN.
    """

    correct: np.ndarray
    images: np.ndarray
    predicted: np.ndarray

    @property
    def score(self) -> Score:
        return Score(int(self.correct.sum()), len(self.correct))


@dataclass(frozen=True)
class Examples:
    """A network and the examples that it is measured on.

    Attributes:
        logits: from float32 images (b, h, w, c) in 0..255 to logits (`kerasdl.models.pixels`).
        images: uint8 (n, h, w, c), n >= 1.
        labels: int64 (n,).
    """

    logits: keras.Model
    images: np.ndarray
    labels: np.ndarray

    @cached_property
    def shown(self) -> np.ndarray:
        """Rising indices of the examples that are drawn: whichever comes first of its class, right or wrong."""
        return np.sort(np.unique(self.labels, return_index=True)[1])[:SHOWN]

    @cached_property
    def clean(self) -> Outcome:
        """The examples as they are."""
        return self._outcome(self._classes(self.images), self.images[self.shown])

    def corrupted(self, name: str, severity: int, seed: int) -> Outcome:
        """The examples under a corruption; see `kerasdl.robustness.corruptions.corrupt` for the arguments."""
        images = corrupt(self.images, name, severity, seed)
        return self._outcome(self._classes(images), images[self.shown])

    def attacked(self, attack: Attack, seed: int, advance: Callable[[int], None] = lambda count: None) -> Outcome:
        """The examples under an attack, whose images are not rounded to whole pixel values.

        An example counts as correct if it is so with and without the attack: the image itself lies in the ball, too.

        Args:
            attack: the attack; it is compiled in each call.
            seed: of all that is random in it.
            advance: called with the number of images that are done.
        """

        @tf.function(input_signature=[self._batch_of, tf.TensorSpec((None,), tf.int64), tf.TensorSpec((2,), tf.int32)])
        def step(images, labels, numbers):
            changed = attack(lambda pixels: self.logits(pixels, training=False), images, labels, numbers)
            return changed, predictions(self.logits(changed, training=False))

        classes, drawn = [], []
        for number, part in enumerate(self._parts()):
            changed, predicted = step(tf.cast(self.images[part], tf.float32), self.labels[part], [seed, number])
            classes.append(predicted.numpy())
            inside = self.shown[(self.shown >= part.start) & (self.shown < part.stop)]
            drawn.append(changed.numpy()[inside - part.start])
            advance(len(classes[-1]))
        return self._outcome(np.concatenate(classes), np.concatenate(drawn), self.clean.correct)

    def _outcome(self, classes: np.ndarray, drawn: np.ndarray, also: np.ndarray | bool = True) -> Outcome:
        correct = (classes == self.labels) & also
        return Outcome(correct, np.rint(drawn).astype(np.uint8), classes[self.shown])

    def _classes(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate([self._classify(tf.cast(images[part], tf.float32)).numpy() for part in self._parts()])

    @cached_property
    def _classify(self) -> Callable[[tf.Tensor], tf.Tensor]:
        return tf.function(lambda images: predictions(self.logits(images, training=False)), [self._batch_of])

    @property
    def _batch_of(self) -> tf.TensorSpec:
        return tf.TensorSpec((None, *self.images.shape[1:]), tf.float32)

    def _parts(self) -> Iterator[slice]:
        return (slice(start, start + BATCH) for start in range(0, len(self.images), BATCH))
