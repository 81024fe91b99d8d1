"""Noise in every pixel value: of electronics, of little light, of defective pixels.

As in Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019. Colour channels are disturbed independently of each other, as a sensor's are.
"""

import numpy as np


def gaussian_noise(images: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Adds normal noise of standard deviation `deviation`, of a pixel range of 1, to each value."""
    return images + np.float32(deviation) * rng.standard_normal(images.shape, np.float32)


def shot_noise(images: np.ndarray, photons: float, rng: np.random.Generator) -> np.ndarray:
    """Counts light: a value v becomes a Poisson number of mean `photons` * v, divided by `photons`."""
    return (rng.poisson(images * photons) / photons).astype(np.float32)


def impulse_noise(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Sets a random `share` of the values, in [0, 1], to 0 or 1 with equal chances (salt and pepper)."""
    draw = rng.random(images.shape, np.float32)
    return np.where(draw < share, np.float32(draw < share / 2), images)
