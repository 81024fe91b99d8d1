"""The exponential moving average of the weights, which Keras optimizers keep with `use_ema=true`.

It is what is evaluated and handed over; the weights themselves are what training goes on with (Polyak and Juditsky
1992; Izmailov et al. 2018 discuss averages of weights).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def averaged_weights(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Inside the block the model has the averaged weights, if the optimizer keeps them; behind it its own again."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema:
        yield
        return
    own = [weight.numpy() for weight in model.trainable_weights]
    optimizer.finalize_variable_values(model.trainable_weights)
    try:
        yield
    finally:
        for weight, value in zip(model.trainable_weights, own, strict=True):
            weight.assign(value)
