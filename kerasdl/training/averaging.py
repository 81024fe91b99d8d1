"""The exponential moving average of the weights, which Keras optimizers keep with `use_ema=true`.

The averages are evaluated and become the model's weights; training itself continues with the weights as they are
(Polyak and Juditsky 1992; Izmailov et al. 2018 discuss averages of weights).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from kerasdl.training.task import Task, trained_weights


def take_averages(task: Task) -> None:
    """Gives the networks the averaged weights where an optimizer keeps them, which it does from its first step on.

    What isn't trained by gradients, such as the statistics of batch normalisation, stays as it is.
    """
    for role, optimizer in task.optimizers.items():
        # Under loss scaling the first steps may all have been skipped; until a step is done the averages are zeros.
        if keeps_averages(optimizer) and int(_inner(optimizer).variables[0]) > 0:
            optimizer.finalize_variable_values(trained_weights(task, role))


def keeps_averages(optimizer: keras.optimizers.Optimizer) -> bool:
    """Returns whether the optimizer keeps averages of the weights."""
    return _inner(optimizer).use_ema


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    return getattr(optimizer, "inner_optimizer", optimizer)


@contextmanager
def averaged_weights(task: Task) -> Iterator[None]:
    """Inside the block the networks have the averaged weights, where optimizers keep them; after it their own again."""
    averaged = [role for role, optimizer in task.optimizers.items() if keeps_averages(optimizer)]
    own = [(weight, weight.numpy()) for role in averaged for weight in trained_weights(task, role)]
    if averaged:
        take_averages(task)
    try:
        yield
    finally:
        for weight, value in own:
            weight.assign(value)
