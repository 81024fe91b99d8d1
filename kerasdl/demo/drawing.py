"""A drawing as the digit sets have it: ink light on dark, of one size, in the middle."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

# LeCun et al. 1998, section III.A: digits fill a box of 20x20 pixels in images of 28x28.
BOX = 20 / 28
_INK = 16  # of 255: what is fainter is paper


def centred(drawing: Image.Image, image_shape: Sequence[int]) -> np.ndarray:
    """Returns a drawing, dark on light, as MNIST was made: scaled to a box, its centre of mass in the middle.

    Args:
        drawing: of any size and mode; what is transparent is paper.
        image_shape: the network's (height, width, channels).

    Returns:
        uint8 [height, width, channels], light on dark; black if nothing is drawn.
    """
    height, width, channels = image_shape
    paper = Image.new("RGBA", drawing.size, "white")
    ink = 255 - np.asarray(Image.alpha_composite(paper, drawing.convert("RGBA")).convert("L"))
    rows, columns = (np.flatnonzero((ink > _INK).any(axis=axis)) for axis in (1, 0))
    result = np.zeros((height, width), np.uint8)
    if len(rows):
        cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        scale = BOX * min(height, width) / max(cropped.shape)
        size = [max(1, round(side * scale)) for side in cropped.shape]
        small = np.asarray(Image.fromarray(cropped).resize((size[1], size[0]), Image.Resampling.BILINEAR))
        result = _with_its_mass_in_the_middle(small, height, width)
    return np.repeat(result[..., None], channels, axis=-1)


def _with_its_mass_in_the_middle(small: np.ndarray, height: int, width: int) -> np.ndarray:
    mass = max(float(small.sum()), 1.0)
    result = np.zeros((height, width), np.uint8)
    tops = []
    for axis, side in ((0, height), (1, width)):
        centre = float((small.sum(axis=1 - axis) * np.arange(small.shape[axis])).sum()) / mass
        # The box fits whatever its centre of mass, but a few pixels at its edge may not.
        tops.append(int(np.clip(round((side - 1) / 2 - centre), 0, side - small.shape[axis])))
    result[tops[0] : tops[0] + small.shape[0], tops[1] : tops[1] + small.shape[1]] = small
    return result
