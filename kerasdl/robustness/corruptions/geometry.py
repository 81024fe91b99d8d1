"""Rotation, shear, scale and translation, about the centre of the image, with linear interpolation.

What comes in from outside is black: the background of MNIST, and what most networks have seen around an image.
"""

import numpy as np


def rotate(images: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turns each image by `degrees`, at random to the left or to the right."""
    angle = np.deg2rad(degrees) * _signs(rng, len(images))
    sine, cosine = np.sin(angle), np.cos(angle)
    return transformed(images, _matrices([[cosine, -sine], [sine, cosine]]))


def shear(images: np.ndarray, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Moves each row sideways by `slope` columns a row from the centre, at random to the left or to the right."""
    slopes = slope * _signs(rng, len(images))
    one, zero = np.ones_like(slopes), np.zeros_like(slopes)
    return transformed(images, _matrices([[one, zero], [slopes, one]]))


def scale(images: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Shrinks each image to `factor` times its size. Nothing in it is random."""
    return transformed(images, np.broadcast_to(np.eye(2) / factor, (len(images), 2, 2)))


def translate(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Moves each image by `share` of its height up or down and by `share` of its width to the left or right."""
    count, height, width, _ = images.shape
    offsets = share * np.array([height, width]) * _signs(rng, (count, 2))
    return transformed(images, np.broadcast_to(np.eye(2), (count, 2, 2)), offsets)


def transformed(images: np.ndarray, matrices: np.ndarray, offsets: np.ndarray | None = None) -> np.ndarray:
    """Returns images whose pixel at p, counted from the centre, is the old one at `matrix @ p + offset`.

    Args:
        images: float32 [n, h, w, c].
        matrices: [n, 2, 2], on (row, column).
        offsets: [n, 2], in pixels (row, column); none by default.
    """
    count, height, width, _ = images.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    rows, columns = grid(height, width)
    places = np.stack(np.broadcast_arrays(rows - centre[0], columns - centre[1]))
    old = np.einsum("nij,jhw->inhw", matrices, places).astype(np.float32)
    old += (centre[:, None] + (0 if offsets is None else offsets.T))[:, :, None, None].astype(np.float32)
    return sampled(images, *old)


def sampled(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns images read at other places, by linear interpolation between four pixels; 0 outside.

    Args:
        images: float32 [n, h, w, c].
        rows, columns: float [n, h, w], in pixels.
    """
    count, height, width, channels = images.shape
    # A frame of black pixels: whatever lies outside is read there, and the edge fades into it.
    framed = np.pad(images, ((0, 0), (1, 2), (1, 2), (0, 0))).reshape(-1, channels)
    rows, columns = np.clip(rows, -1, height) + 1, np.clip(columns, -1, width) + 1
    top, left = rows.astype(np.int64), columns.astype(np.int64)
    down, right = (rows - top).astype(np.float32)[..., None], (columns - left).astype(np.float32)[..., None]
    first = (np.arange(count)[:, None, None] * (height + 3) + top) * (width + 3) + left
    upper = framed[first] * (1 - right) + framed[first + 1] * right
    first += width + 3
    lower = framed[first] * (1 - right) + framed[first + 1] * right
    return upper * (1 - down) + lower * down


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows, float32 [h, 1], and the columns, float32 [1, w], of all pixels."""
    return np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]


def _signs(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    return np.where(rng.random(shape) < 0.5, -1.0, 1.0)


def _matrices(entries: list[list[np.ndarray]]) -> np.ndarray:
    """Returns [n, 2, 2] from two rows of two [n]."""
    return np.moveaxis(np.array(entries), -1, 0)
