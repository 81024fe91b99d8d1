"""Seeds for a network: its initial weights from one named stream, its dropout from another."""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from kerasdl.seeds import derive


@contextmanager
def seeded(seed: int, *names: str) -> Iterator[None]:
    """Inside the block a network is built from `seed`; Python's own random numbers outside are not affected.

    Keras draws a seed for every initializer and for every random layer from Python's `random`, in the order in which
    they are created, so that one more dropout layer would change the weights of all later layers. Here initializers
    draw from `derive(seed, "initialization")`, and the generator of the n-th random layer (dropout, noise) gets
    `derive(seed, "dropout", n)`, unless the layer has a seed of its own.

    TensorFlow's global seed is set as well, for layers that draw from it, and stays set.

    Args:
        seed: the run's seed.
        names: of the network, where a task has several: each draws from streams of its own.
    """
    state = random.getstate()
    random.seed(derive(seed, "initialization", *names))
    tf.random.set_seed(derive(seed, "initialization", *names))
    make, numbers = keras.random.SeedGenerator.__init__, itertools.count()

    def make_from_own_stream(generator: Any, seed_of_layer: int | None = None, *args: Any, **kwargs: Any) -> None:
        if seed_of_layer is None:
            seed_of_layer = kwargs.pop("seed", None)
        if seed_of_layer is None:
            seed_of_layer = derive(seed, "dropout", *names, next(numbers))
        make(generator, seed_of_layer, *args, **kwargs)

    keras.random.SeedGenerator.__init__ = make_from_own_stream
    try:
        yield
    finally:
        keras.random.SeedGenerator.__init__ = make
        random.setstate(state)
