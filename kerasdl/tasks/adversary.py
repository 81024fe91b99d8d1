"""Adversarial training: changes each batch to raise the loss of the network that learns from it (Madry et al. 2018).

The attack itself is in `kerasdl.attacks`. Training adds the network to attack, a seed for every step, and a budget that
may rise over the first steps.
"""

from collections.abc import Callable

import tensorflow as tf

from kerasdl.attacks import Attack
from kerasdl.attacks.attack import Logits


class Adversary:
    """Changes training batches in the compiled loop; a function of the images, the weights and the step.

    It attacks the network in inference mode. In training mode dropout would make the loss noisy, and each forward
    pass would draw random numbers and update the averages of batch normalisation. Robustness is measured in inference
    mode, too.

    Args:
        attack: run once for each batch.
        logits: the network in inference mode, from images (b, h, w, c) float32 in 0..255 to logits (b, classes).
        key: from a step to the seed of its random numbers, int32 (2,).
        warmup_steps: number of steps, >= 0, over which the budget rises linearly from 0. With the full budget from the
            start, a small network may predict the same class for every image forever.
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
