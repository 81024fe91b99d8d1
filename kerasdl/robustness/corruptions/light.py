"""Too much light, too little difference: changes of the pixel values that leave every edge where it is."""

import numpy as np


def contrast(images: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Draws values towards the mean of their image and channel: mean + `factor` * (value - mean).

    As in Hendrycks and Dietterich (2019). Nothing in it is random.
    """
    means = images.mean(axis=(1, 2), keepdims=True)
    return means + np.float32(factor) * (images - means)


def brightness(images: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Adds `amount` to the value (V of hue, saturation, value) of each pixel, up to 1; hue and saturation stay.

    As in Hendrycks and Dietterich (2019). Of grey images, whose value is all they have, it is a plain sum. Nothing in
    it is random.
    """
    value = images.max(axis=3, keepdims=True)
    brighter = np.minimum(value + np.float32(amount), 1)
    # With hue and saturation kept, the channels keep their proportions; black, which has none, becomes grey.
    return np.where(value > 0, images * (brighter / np.where(value > 0, value, 1)), brighter)
