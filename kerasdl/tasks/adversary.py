"""Adversarial training: what changes each batch against the network that learns from it (Madry et al. 2018).

The attack itself is `kerasdl.attacks`. Here is what a training adds: whom it attacks, a seed for every step, and a
budget that may rise over the first steps.
"""

from collections.abc import Callable

import tensorflow as tf

from kerasdl.attacks import Attack
from kerasdl.attacks.attack import Logits


class Adversary:
    """Changes training batches in the compiled loop; a function of the images, the weights and the step.

    It attacks the network as it is used, not as it is trained: dropout would blur what it climbs, each
    of its forward passes would draw random numbers and move the averages of batch normalisation, and robustness is
    measured on the network as it is used, too.

    Args:
        attack: one run of it a batch.
        logits: the network as it is used, from images (b, h, w, c) float32 in 0..255 to logits (b, classes).
        key: from a step to the seed of its random numbers, int32 (2,).
        warmup_steps: number of steps, >= 0, over which the budget rises linearly from 0. At the full budget from the
            start, a small network may never get away from giving every image the same answer.
    """

    def __init__(self, attack: Attack, logits: Logits, key: Callable[[tf.Tensor], tf.Tensor], warmup_steps: float = 0):
        self._attack = attack
        self._logits = logits
        self._key = key
        self._warmup_steps = float(warmup_steps)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns images (b, h, w, c) float32 in 0..255 that raise the loss; `step` counts from 0 over all epochs."""
        share = 1.0
        if self._warmup_steps:
            share = tf.minimum(1.0, tf.cast(step, tf.float32) / self._warmup_steps)
        return self._attack(self._logits, images, labels, self._key(step), share)
