"""Changes of pixel values that leave every edge where it is: noise, contrast and brightness.

As in Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019. Noise disturbs colour channels independently of each other, as in a sensor.
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


def contrast(images: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Draws values towards the mean of their image and channel: mean + `factor` * (value - mean).

    Nothing in it is random.
    """
    means = images.mean(axis=(1, 2), keepdims=True)
    return means + np.float32(factor) * (images - means)


def brightness(images: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Adds `amount` to the value (V of hue, saturation, value) of each pixel, up to 1; hue and saturation stay.

    For grey images it is a plain sum. Nothing in it is random.
    """
    value = images.max(axis=3, keepdims=True)
    brighter = np.minimum(value + np.float32(amount), 1)
    # With hue and saturation kept, the channels keep their proportions; black, which has none, becomes grey.
    return np.where(value > 0, images * (brighter / np.where(value > 0, value, 1)), brighter)
