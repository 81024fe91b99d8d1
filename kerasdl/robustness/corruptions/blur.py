"""Blurs: out of focus, in motion, through frosted glass. Lengths are shares of the image's shorter side."""

import numpy as np
from scipy.ndimage import correlate1d
from scipy.signal import fftconvolve
from scipy.special import ive

from kerasdl.robustness.corruptions.geometry import grid, sampled


def gaussian_blur(images: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Blurs with a Gaussian whose standard deviation is `deviation` sides. Nothing in it is random."""
    return smoothed(images, deviation * min(images.shape[1:3]))


def motion_blur(images: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """Averages each image over a straight movement of `length` sides at constant speed, in a random direction.

    Between pixels the moving image is interpolated linearly. Outside, the image continues as at its edge.
    """
    height, width = images.shape[1:3]
    pixels = length * min(height, width)
    angle = rng.uniform(0, np.pi, (len(images), 1, 1))
    radius = int(np.ceil(pixels / 2))
    offsets = np.arange(-radius, radius + 1)
    kernels = np.zeros((len(images), len(offsets), len(offsets)))
    instants = np.linspace(-pixels / 2, pixels / 2, 2 * len(offsets) + 1)
    for place in instants:
        rows, columns = place * np.sin(angle), place * np.cos(angle)
        kernels += _tent(offsets[:, None] - rows) * _tent(offsets[None, :] - columns)
    kernels /= kernels.sum(axis=(1, 2), keepdims=True)
    padded = np.pad(images, ((0, 0), (radius, radius), (radius, radius), (0, 0)), mode="edge")
    return fftconvolve(padded, kernels[..., None].astype(np.float32), mode="valid", axes=(1, 2))


def glass_blur(images: np.ndarray, reach: float, rng: np.random.Generator) -> np.ndarray:
    """Moves each pixel at random by up to `reach` sides in height and in width, with a slight blur before and after.

    After the glass blur of Hendrycks and Dietterich (2019), with displacements that are independent, and not whole
    pixels, in place of a chain of swaps: these can't be made for many images at once, nor on small ones.
    """
    count, height, width, _ = images.shape
    pixels = reach * min(height, width)
    rows, columns = grid(height, width)
    moves = rng.uniform(-pixels, pixels, (count, 2, height, width)).astype(np.float32)
    rows = np.clip(rows + moves[:, 0], 0, height - 1)
    columns = np.clip(columns + moves[:, 1], 0, width - 1)
    slight = min(pixels / 4, 1.0)
    return smoothed(sampled(smoothed(images, slight), rows, columns), slight)


def smoothed(images: np.ndarray, sigma: float) -> np.ndarray:
    """Returns images [n, h, w, ...], blurred by a Gaussian of `sigma` pixels; outside they continue as at their edge.

    The kernel is the discrete analogue of the Gaussian (Lindeberg, "Scale-Space for Discrete Signals", 1990), whose
    variance is sigma**2 for any sigma. A Gaussian sampled at whole pixels blurs nothing where sigma is small,
    which is what a share of a small image's side is.
    """
    radius = int(np.ceil(4 * sigma)) + 1
    weights = ive(np.abs(np.arange(-radius, radius + 1)), sigma**2)
    weights /= weights.sum()
    for axis in (1, 2):
        images = correlate1d(images, weights, axis=axis, mode="nearest")
    return images


def _tent(distance: np.ndarray) -> np.ndarray:
    """The weight of a pixel in linear interpolation."""
    return np.maximum(1 - np.abs(distance), 0)
