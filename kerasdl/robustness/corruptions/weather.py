"""What is between the object and the lens, or on it: fog and drops."""

import numpy as np
from scipy.special import ndtri

from kerasdl.robustness.corruptions.blur import smoothed

# Of drops of water in Hendrycks and Dietterich (2019): pale turquoise, of red, green and blue.
_WATER = np.array([175, 238, 238], np.float32) / 255
_DROP = 0.04  # how fine drops are: the scale of the noise that they are cut out of, of the side
_SMOOTHNESS = 1.7  # how fast fog's waves lose amplitude with frequency: a fractal dimension of about 2.3


def fog(images: np.ndarray, thickness: float, rng: np.random.Generator) -> np.ndarray:
    """Lays a fog of up to `thickness` over an image: (x + `thickness` * fog) * m / (m + `thickness`), fog in [0, 1].

    m is the image's largest value. The formula is that of Hendrycks and Dietterich (2019). Their fog is a plasma
    fractal; this is a fractal surface by spectral synthesis (Saupe, "Algorithms for random fractals", 1988): noise
    whose amplitudes fall as a power of the frequency in waves a side, which any size has, all images at once.
    """
    count, height, width, _ = images.shape
    side = min(height, width)
    noise = np.fft.rfft2(rng.standard_normal((count, height, width), np.float32))
    waves = side * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    waves[0, 0] = 1
    surface = np.fft.irfft2(noise * waves**-_SMOOTHNESS, (height, width)).astype(np.float32)
    low, high = surface.min(axis=(1, 2), keepdims=True), surface.max(axis=(1, 2), keepdims=True)
    layer = ((surface - low) / np.maximum(high - low, 1e-6))[..., None]
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    # In a black image there is no light that fog could scatter.
    return (images + np.float32(thickness) * layer) * (brightest / (brightest + np.float32(thickness)))


def spatter(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Covers about `share` of the area by drops of water, pale and with soft edges.

    After the spatter of Hendrycks and Dietterich (2019): the drops are where smoothed noise exceeds a threshold. Theirs
    are lit at the edges, and mud from severity 4 on, as in MNIST-C; these are plain, and water throughout.
    """
    count, height, width, channels = images.shape
    noise = rng.standard_normal((count, height, width), np.float32)
    field = smoothed(noise, _DROP * min(height, width))
    field /= np.maximum(field.std(axis=(1, 2), keepdims=True), 1e-6)
    # The field is normal with variance 1, so that the normal quantile cuts off the wanted share.
    cover = np.clip(0.5 + 2 * (field - np.float32(-ndtri(share))), 0, 1)[..., None]
    water = _WATER if channels == 3 else _WATER.mean(keepdims=True)
    return images * (1 - cover) + water * cover
