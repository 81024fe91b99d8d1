"""Sums over the examples of a batch, as every task needs them.

A batch that is padded to a static shape has a feature `mask`, 1 for an example and 0 for padding. A loss is a sum over
examples divided by the number of examples in the whole step, so that the gradients of replicas add up to those of one
device. Where a step is divided among replicas, each batch has a scalar `step_size`, the number of examples in them all.
"""

import keras
import tensorflow as tf

from kerasdl.training.task import Batch


def count(batch: Batch) -> tf.Tensor:
    """Returns the number of examples of a batch, float32, without padding."""
    if "mask" in batch:
        return tf.reduce_sum(tf.cast(batch["mask"], tf.float32))
    examples = next(values for name, values in batch.items() if name != "step_size")
    return tf.cast(tf.shape(examples)[0], tf.float32)


def step_size(batch: Batch) -> tf.Tensor:
    """Returns the number of examples in the whole step, float32, of which the batch may be a part."""
    return tf.cast(batch["step_size"], tf.float32) if "step_size" in batch else count(batch)


def total(values: tf.Tensor, batch: Batch) -> tf.Tensor:
    """Returns the sum of the examples' values, (b,), without padding."""
    if "mask" in batch:
        values *= tf.cast(batch["mask"], values.dtype)
    return tf.reduce_sum(values)


def averaged(losses: tf.Tensor, batch: Batch) -> tf.Tensor:
    """Returns the sum of the examples' losses, (b,), divided by the number of examples in the whole step."""
    if "mask" not in batch and "step_size" not in batch:
        return tf.reduce_mean(losses)
    return total(losses, batch) / tf.cast(step_size(batch), losses.dtype)


def penalties(*networks: keras.Model, batch: Batch | None = None) -> list[tf.Tensor]:
    """Returns the terms that regularizers and layers of the networks add to the loss, float32 scalars.

    Args:
        *networks: that were called.
        batch: the batch that they were called with. If it is a part of a step, the terms are scaled to its share, so
            that the parts add up to the whole.
    """
    terms = [tf.cast(term, tf.float32) for network in networks for term in network.losses]
    if batch is None or "step_size" not in batch:
        return terms
    share = count(batch) / step_size(batch)
    return [term * share for term in terms]
