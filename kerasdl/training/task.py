"""What the loop asks of a task: a step, an evaluation, and the sums they add up.

A task owns its model and optimizer and decides what a step computes: forward pass, loss, gradients, metrics. The loop
knows only that a step returns *statistics*, named float32 tensors that may be added over steps, calls and replicas
(sums and counts, never means), and that `results` turns their sums into named metrics.
"""

from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

Statistics = dict[str, tf.Tensor]
Sums = dict[str, np.ndarray]


class Task(Protocol):
    """A kind of learning, e.g. `kerasdl.tasks.classification`."""

    model: keras.Model
    optimizer: keras.optimizers.Optimizer

    def shapes(self, training: bool) -> dict[str, tuple[int, ...]]:
        """Returns the shape of each statistic of a step; it always has `loss` and `count`."""

    def train_step(self, images: tf.Tensor, labels: tf.Tensor) -> Statistics:
        """Updates the weights from one batch: images (b, h, w, c) float32 in 0..255, labels (b,) int64."""

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the logits (b, classes) that the network has for such images when it is used, changing nothing."""

    def evaluation_step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Statistics, tf.Tensor]:
        """Measures one batch, changing nothing: its statistics, and the logits (b, classes) that they were taken of."""

    def results(self, sums: Sums) -> dict[str, float]:
        """Returns the metrics that the added statistics stand for; `loss` is always among them."""

    def serving_model(self) -> keras.Model:
        """Returns the model to hand over: raw uint8 images in, what a user wants out."""
