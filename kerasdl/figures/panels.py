"""Pictures made of small pictures: panels that lie on whole pixels of the figure, so that enlarged images stay crisp.

Matplotlib's own layouts place axes anywhere, and an image of 28 pixels on 172.3 gets columns of unequal width.
"""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasdl.channels import opaque

DPI = 100
FONT_SIZE = 9.0  # points
CHARACTER = 6.6  # pixels that a character of that size needs, on average
LINE = 17  # pixels from line to line


def canvas(width: int, height: int) -> Figure:
    """Returns an empty white figure of that many pixels."""
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI)


def panel(figure: Figure, left: int, top: int, width: int, height: int) -> Axes:
    """Returns axes without frame or ticks; in pixels, from the figure's upper left corner."""
    full_width, full_height = (figure.get_size_inches() * DPI).round()
    box = (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
    axes = figure.add_axes(box)
    axes.axis("off")
    return axes


def write(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Writes a line of text in a row of `LINE` pixels that begins at `top`; `left`, or what `ha` says, is in pixels."""
    full_width, full_height = (figure.get_size_inches() * DPI).round()
    defaults: dict[str, Any] = {"fontsize": FONT_SIZE, "va": "baseline", "parse_math": False}
    figure.text(left / full_width, 1 - (top + 0.75 * LINE) / full_height, text, **(defaults | style))


def enlargement(shape: tuple[int, ...], side: int) -> int:
    """Returns how many times an image (h, w, ...) is to be enlarged for its longer side to come to `side` pixels.

    For an image that is larger than that it is 1: it is drawn as it is.
    """
    return max(1, round(side / max(shape[:2])))


def show_image(axes: Axes, image: np.ndarray) -> None:
    """Shows uint8 (h, w, 1, 3 or 4), or float (h, w, 1 or 3) in 0..1, each pixel as a square."""
    axes.imshow(opaque(image), interpolation="nearest", aspect="auto")


def mosaic(pictures: np.ndarray, columns: int, scale: int, gap: int) -> np.ndarray:
    """Returns one picture of many, row by row on white. A panel for each of them would take seconds to draw.

    Args:
        pictures: colours in 0..1, float (n, h, w, 3).
        columns: pictures in a row.
        scale: by how much each is enlarged.
        gap: pixels between two.

    Returns:
        float32 (H, W, 3).
    """
    count, height, width, _ = pictures.shape
    tall, wide = height * scale + gap, width * scale + gap
    rows = -(-count // columns)
    found = np.ones((rows * tall - gap, columns * wide - gap, 3), "float32")
    for number, picture in enumerate(pictures):
        top, left = number // columns * tall, number % columns * wide
        enlarged = np.repeat(np.repeat(picture, scale, axis=0), scale, axis=1)
        found[top : top + tall - gap, left : left + wide - gap] = enlarged
    return found


def wrapped(text: str, width: float, font_size: float = FONT_SIZE) -> list[str]:
    """Returns the text in lines that fit into that many pixels; no lines for an empty text."""
    return textwrap.wrap(text, _characters(width, font_size))


def fitted(text: str, width: float, font_size: float = FONT_SIZE) -> str:
    """Returns the text, or its beginning and an ellipsis where it is too long for that many pixels."""
    most = _characters(width, font_size)
    return text if len(text) <= most else text[: most - 1] + "…"


def _characters(width: float, font_size: float) -> int:
    return max(4, int(width / (CHARACTER * font_size / FONT_SIZE)))
