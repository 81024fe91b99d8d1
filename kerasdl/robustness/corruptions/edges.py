"""Edges in place of surfaces: Canny's detector, for many images at once."""

import numpy as np
from scipy.ndimage import correlate1d, label

from kerasdl.robustness.corruptions.blur import smoothed

_SIGMA = 1 / 28  # of the side: one pixel of MNIST, as in MNIST-C
_LOW, _HIGH = 0.1, 0.2  # of the image's steepest slope
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
# The neighbours, (row, column), that an edge must exceed, by the direction of its slope in eighths of a turn.
_NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1))
# Pixels that touch, also at corners, are connected; those of different images aren't.
_WITHIN_IMAGES = np.zeros((3, 3, 3), bool)
_WITHIN_IMAGES[1] = True


def canny_edges(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mixes an image with its edges: (1 - `share`) * image + `share` * edges, which are white on black.

    With 1.0 that of MNIST-C (Mu and Gilmer, 2019). Nothing in it is random.
    """
    grey = images @ _LUMINANCE if images.shape[3] == 3 else images[..., 0]
    return images * np.float32(1 - share) + np.float32(share) * edges(grey)[..., None]


def edges(images: np.ndarray) -> np.ndarray:
    """Returns the edges, bool [n, h, w], of grey images, float32 [n, h, w].

    Canny, "A Computational Approach to Edge Detection", 1986: where the slope of the smoothed image is steeper than
    before and after it, from those that are steep along all that are connected to them and not too flat.
    """
    smooth = smoothed(images, _SIGMA * min(images.shape[1:3]))
    down, right = _slopes(smooth, 1, 2), _slopes(smooth, 2, 1)
    slope = np.hypot(down, right)
    direction = np.rint(np.arctan2(down, right) / (np.pi / 4)).astype(np.int8) % 4
    thin = np.zeros(slope.shape, bool)
    for eighth, (row, column) in enumerate(_NEIGHBOURS):
        # A plateau of two equal pixels is one edge, so that one of the two comparisons lets equality pass.
        crest = (slope > _shifted(slope, row, column)) & (slope >= _shifted(slope, -row, -column))
        thin |= (direction == eighth) & crest
    steepest = slope.max(axis=(1, 2), keepdims=True)
    weak, strong = thin & (slope > _LOW * steepest), thin & (slope > _HIGH * steepest)
    regions, count = label(weak, _WITHIN_IMAGES)
    kept = np.zeros(count + 1, bool)
    kept[regions[strong]] = True
    return kept[regions]


def _slopes(images: np.ndarray, along: int, across: int) -> np.ndarray:
    """Returns Sobel's derivative along an axis. (`scipy.ndimage.sobel` would also smooth from image to image.)"""
    steps = correlate1d(images, (-1.0, 0.0, 1.0), axis=along, mode="nearest")
    return correlate1d(steps, (1.0, 2.0, 1.0), axis=across, mode="nearest")


def _shifted(slope: np.ndarray, row: int, column: int) -> np.ndarray:
    """Returns [n, h, w] whose pixels are those `row` and `column` further on; 0 outside."""
    height, width = slope.shape[1:]
    framed = np.pad(slope, ((0, 0), (1, 1), (1, 1)))
    return framed[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]
