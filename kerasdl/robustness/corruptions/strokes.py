"""Lines drawn across an image: dotted, or zigzag.

After MNIST-C (Mu and Gilmer, 2019), which draws one line; here the severity is their number. Ink is white on images
that are mostly dark, as MNIST is, and black on the others. Lengths are shares of the image's shorter side.
"""

from collections.abc import Callable

import numpy as np

from kerasdl.robustness.corruptions.geometry import grid

_FARTHEST = 0.35  # of a line from the centre
_DOT, _SPACING = 0.04, 0.16  # a dot's radius, and from dot to dot
_WIDTH, _SWING, _PERIOD = 0.06, 0.08, 0.3  # of a zigzag: its line, how far it swings to a side, one full swing


def dotted_line(images: np.ndarray, lines: float, rng: np.random.Generator) -> np.ndarray:
    """Draws `lines` straight rows of dots, in random directions and at random distances from the centre."""

    def ink(along: np.ndarray, across: np.ndarray, pixel: float) -> np.ndarray:
        from_dot = np.hypot(_SPACING * (_fraction(along / _SPACING) - 0.5), across)
        return (_DOT - from_dot) / pixel + 0.5

    return _drawn(images, int(lines), rng, ink)


def zigzag(images: np.ndarray, lines: float, rng: np.random.Generator) -> np.ndarray:
    """Draws `lines` zigzag lines, in random directions and at random distances from the centre."""
    steepness = 4 * _SWING / _PERIOD

    def ink(along: np.ndarray, across: np.ndarray, pixel: float) -> np.ndarray:
        swing = _SWING * (4 * np.abs(_fraction(along / _PERIOD) - 0.5) - 1)
        from_line = np.abs(across - swing) / np.sqrt(1 + steepness**2)
        return (_WIDTH / 2 - from_line) / pixel + 0.5

    return _drawn(images, int(lines), rng, ink)


def _drawn(
    images: np.ndarray,
    lines: int,
    rng: np.random.Generator,
    ink: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
) -> np.ndarray:
    """Returns images with lines on them.

    Args:
        images: float32 [n, h, w, c].
        lines: how many.
        rng: of each line's direction, distance from the centre, and where along it its pattern begins.
        ink: from places along and across a line and the size of a pixel, all in sides, to how much of a pixel is
            covered, to be clipped to [0, 1].
    """
    count, height, width, _ = images.shape
    side = min(height, width)
    rows, columns = grid(height, width)
    rows, columns = (rows - (height - 1) / 2) / side, (columns - (width - 1) / 2) / side
    draws = rng.random((count, lines, 3), np.float32)
    cover = np.zeros((count, height, width), np.float32)
    for line in range(lines):
        angle, distance, begin = (draws[:, line, part][:, None, None] for part in range(3))
        sine, cosine = np.sin(np.pi * angle), np.cos(np.pi * angle)
        along = cosine * columns + sine * rows + begin
        across = cosine * rows - sine * columns + _FARTHEST * (2 * distance - 1)
        cover = np.maximum(cover, np.clip(ink(along, across, 1 / side), 0, 1))
    color = np.float32(images.mean(axis=(1, 2, 3), keepdims=True) < 0.5)
    return images * (1 - cover[..., None]) + color * cover[..., None]


def _fraction(values: np.ndarray) -> np.ndarray:
    return values - np.floor(values)
