"""What convolutions have learned and what they see: their kernels, and their feature maps of an image.

The pictures by which introductions explain a convolutional network: edges and blobs in the first layer's kernels, the
image taken apart layer by layer in the maps.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from kerasdl.channels import opaque
from kerasdl.figures.panels import LINE, canvas, enlargement, fitted, mosaic, panel, show_image, write

# More can't be distinguished; the picture states how many are left out.
MOST_FILTERS, MOST_MAPS = 64, 64
MOST_ROWS, MOST_COLUMNS = 16, 16
_KERNEL_CELL, _MAP_CELL, _INPUT_CELL, _GAP, _MARGIN, _LEAST_WIDTH = 56, 84, 176, 4, 8, 316
_COLORS = "viridis"


def filters(kernel: np.ndarray, title: str, *, colored: bool = False) -> Figure:
    """Draws a convolution's kernels.

    With one input channel, or three that are colours, each filter is one picture, and up to `MOST_FILTERS` are drawn.
    Else each filter is a row with a picture for each input channel: up to `MOST_ROWS` filters and `MOST_COLUMNS`
    channels. One scale for all, symmetric about 0: grey is 0, white the largest weight, black as much below.

    Args:
        kernel: float (height, width, input channels, filters).
        title: the layer's name.
        colored: whether the three input channels are red, green and blue.

    Returns:
        A figure.
    """
    height, width, channels, count = kernel.shape
    limit = float(np.abs(kernel).max()) or 1.0
    single = channels == 1 or (colored and channels == 3)
    shown = min(count, MOST_FILTERS if single else MOST_ROWS)
    shown_channels = 1 if single else min(channels, MOST_COLUMNS)
    columns = _columns(shown) if single else shown_channels
    facts = [f"{_of(shown, count)} filters of {height}x{width}"]
    if not single:
        facts.append(f"a row each, {_of(shown_channels, channels)} input channels across")
    facts.append(f"grey is 0, white {limit:.2g}")
    pictures = 0.5 + (kernel[..., :shown] / (2 * limit)).transpose(3, 0, 1, 2)
    if not single:  # (filters, h, w, channels) to a picture for each filter and channel
        pictures = pictures[..., :shown_channels].transpose(0, 3, 1, 2).reshape(-1, height, width, 1)
    pictures = np.broadcast_to(pictures, (*pictures.shape[:3], 3))
    scale = enlargement(kernel.shape, _KERNEL_CELL if single else _KERNEL_CELL // 2)
    return _figure(mosaic(pictures, columns, scale, _GAP), [title, *facts])


def feature_maps(image: np.ndarray, maps: np.ndarray, title: str, lines: Sequence[str] = ()) -> Figure:
    """Draws an image and a layer's feature maps of it, up to `MOST_MAPS` of them on one scale.

    Args:
        image: uint8 (h, w, 1, 3 or 4).
        maps: float (h', w', maps), the layer's output.
        title: the layer's name.
        lines: what else is known, each a line.

    Returns:
        A figure, the image at its left.
    """
    height, width, count = maps.shape
    shown = min(count, MOST_MAPS)
    low, high = float(maps.min()), float(maps.max())
    scale = enlargement(maps.shape, _MAP_CELL)
    columns = _columns(shown)
    facts = f"{_of(shown, count)} feature maps of {height}x{width}, dark {low:.2g} to bright {high:.2g}"
    pictures = colormaps[_COLORS](Normalize(low, high)(np.moveaxis(maps[..., :shown], -1, 0)))[..., :3]
    return _figure(mosaic(pictures, columns, scale, _GAP), [title, facts, *lines], image)


def _figure(grid: np.ndarray, lines: Sequence[str], image: np.ndarray | None = None) -> Figure:
    """Returns a figure with lines of text above a mosaic, and an image to the left of it."""
    left, height = _MARGIN, grid.shape[0]
    if image is not None:
        image = mosaic(opaque(image)[None] / 255, 1, enlargement(image.shape, _INPUT_CELL), 0)
        left, height = left + image.shape[1] + 2 * _GAP, max(height, image.shape[0])
    head = LINE * len(lines) + 14
    width = max(left + grid.shape[1] + _MARGIN, _LEAST_WIDTH)
    figure = canvas(width, head + height + _MARGIN)
    for number, line in enumerate(lines):
        style = {"fontweight": "bold"} if number == 0 else {"color": "0.35"}
        write(figure, _MARGIN, 8 + number * LINE, fitted(line, width - 2 * _MARGIN), **style)
    if image is not None:
        show_image(panel(figure, _MARGIN, head, image.shape[1], image.shape[0]), image)
    show_image(panel(figure, left, head, grid.shape[1], grid.shape[0]), grid)
    return figure


def _of(shown: int, count: int) -> str:
    return f"{count}" if shown == count else f"the first {shown} of {count}"


def _columns(count: int) -> int:
    """Returns how many of `count` pictures to put in a row, 8 at most, so that the last row is as full as can be."""
    return count if count < 5 else min(range(8, 4, -1), key=lambda columns: -count % columns)
