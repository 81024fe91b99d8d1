"""The exponential moving average of the weights, which Keras optimizers keep with `use_ema=true`.

It is what is evaluated and handed over; the weights themselves are what training goes on with (Polyak and Juditsky
1992; Izmailov et al. 2018 discuss averages of weights).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


def take_averages(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Gives the model the averaged weights, if the optimizer keeps them and has done a step, with which they begin.

    What isn't trained by gradients, such as the statistics of batch normalisation, stays as it is.
    """
    # Under loss scaling the first steps may all have been left out; the averages are zeros until then.
    if keeps_averages(optimizer) and int(_inner(optimizer).variables[0]) > 0:
        optimizer.finalize_variable_values(model.trainable_weights)


def keeps_averages(optimizer: keras.optimizers.Optimizer) -> bool:
    """Returns whether the optimizer keeps averages of the weights."""
    return _inner(optimizer).use_ema


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    return getattr(optimizer, "inner_optimizer", optimizer)


@contextmanager
def averaged_weights(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Inside the block the model has the averaged weights, if the optimizer keeps them; after it its own again."""
    if not keeps_averages(optimizer):
        yield
        return
    own = [weight.numpy() for weight in model.trainable_weights]
    take_averages(model, optimizer)
    try:
        yield
    finally:
        for weight, value in zip(model.trainable_weights, own, strict=True):
            weight.assign(value)
