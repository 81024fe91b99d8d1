"""Seeds for a network: its initial weights from one named stream, its dropout from another."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from kerasdl.seeds import derive


@contextmanager
def seeded(seed: int) -> Iterator[Callable[[keras.Model], None]]:
    """Inside the block a network is built from `seed`; outside, Python's own random numbers go on undisturbed.

    TensorFlow's global seed is set as well, for layers that draw from it, and stays set.

    Keras draws the seed of every initializer and of every random layer from Python's `random` when the layer is made.
    Initial weights depend on `derive(seed, "initialization")`. The function that is handed out sets the layers' own
    generators (dropout, noise) to `derive(seed, "dropout", number of the layer)`.

    Args:
        seed: the run's seed.
    """
    state = random.getstate()
    random.seed(derive(seed, "initialization"))
    tf.random.set_seed(derive(seed, "initialization"))

    def seed_layers(model: keras.Model) -> None:
        generators = [v for v in model.variables if v.path.endswith("seed_generator_state")]
        for number, variable in enumerate(generators):
            variable.assign([derive(seed, "dropout", number), 0])

    try:
        yield seed_layers
    finally:
        random.setstate(state)
