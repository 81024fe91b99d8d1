"""Parts of an image that are covered or turned into their negative. Parts of pixels count as parts."""

import numpy as np


def occlusion(images: np.ndarray, area: float, rng: np.random.Generator) -> np.ndarray:
    """Blanks (to 0) a rectangle of the image's proportions and of `area` of it, in [0, 1], at a random place inside.

    As cutout (DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017).
    """
    count, height, width, _ = images.shape
    side = np.sqrt(area)
    corners = rng.random((count, 2, 1)) * (1 - side)
    rows = _covered(height, corners[:, 0], corners[:, 0] + side)
    columns = _covered(width, corners[:, 1], corners[:, 1] + side)
    return images * (1 - rows[:, :, None, None] * columns[:, None, :, None])


def stripe(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Inverts a stripe at the left and one at the right, together `share` of the width.

    With 0.5 that of MNIST-C (Mu and Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019). Nothing in it
    is random.
    """
    width = images.shape[2]
    zero = np.zeros((1, 1))
    inverted = _covered(width, zero, zero + share / 2) + _covered(width, zero + 1 - share / 2, zero + 1)
    inverted = inverted[:, None, :, None]
    return images * (1 - inverted) + (1 - images) * inverted


def _covered(pixels: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns how much of each pixel of a line lies between two places in [0, 1], [n, 1]: float32 [n, pixels]."""
    left = np.arange(pixels)
    return np.clip(np.minimum(left + 1, end * pixels) - np.maximum(left, start * pixels), 0, 1).astype(np.float32)
