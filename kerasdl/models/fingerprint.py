"""A short fingerprint of a network's weights, which shows at a glance whether those of two runs are equal."""

import hashlib

import keras
import numpy as np


def fingerprint(model: keras.Model) -> str:
    """Returns 16 hexadecimal digits of the SHA-256 of all weights, in their order, with shapes and dtypes.

    The states of dropout's random generators are left out: a network that is loaded again has new ones.
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        array = np.asarray(weight)
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
