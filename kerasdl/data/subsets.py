"""Which examples of a source's split belong to which split of the run: pure functions on index arrays."""

import math
from typing import Any

import numpy as np

from kerasdl.data.order import generator
from kerasdl.errors import ConfigError


def hold_out(size: int, validation: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divides the examples of the training split in two.

    Args:
        size: examples in the training split.
        validation: a fraction in [0, 1) or a number of examples in [0, size).
        seed: the run's seed.

    Returns:
        (train, validation), int64, disjoint, each ascending.

    Raises:
        ConfigError: `validation` is neither, or leaves nothing to train on.
    """
    fraction = isinstance(validation, float)
    count = round(validation * size) if fraction else validation
    in_range = 0 <= validation < 1 if fraction else 0 <= validation < size
    if not in_range or count >= size:
        raise ConfigError(
            f"data.validation must be a fraction in [0, 1), a number below that of the {size:,} training examples, "
            f"or the name of a split. Received: {validation!r}."
        )
    if fraction and validation > 0:
        count = max(count, 1)
    order = generator(seed, "validation").permutation(size)
    return np.sort(order[count:]), np.sort(order[:count])


def keep_fraction(indices: np.ndarray, fraction: float, seed: int, name: str) -> np.ndarray:
    """Returns a random `fraction` in (0, 1] of `indices`, ascending, at least one; drawn for the split `name`."""
    if fraction == 1:
        return indices
    count = max(math.ceil(fraction * len(indices)), 1)
    return np.sort(generator(seed, "fraction", name).permutation(indices)[:count])


def keep_batches(indices: np.ndarray, batches: int | None, batch_size: int) -> np.ndarray:
    """Returns as many of the first `indices` as `batches` (>= 1) batches hold; all if `batches` is None."""
    if batches is None:
        return indices
    return indices[: batches * batch_size]
