"""Attributions as pictures: an image with colours for what counts for a class and what counts against it.

The image is drawn in grey, and the heat map lies on it, the more opaque the stronger it is. Each map has a scale of its
own; its numbers are in logits and are not comparable between methods.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure

from kerasdl.channels import opaque
from kerasdl.figures.panels import CHARACTER, LINE, canvas, enlargement, fitted, panel, show_image, wrapped, write

POSITIVE_COLORS: str | Colormap = "inferno"
AGAINST, FOR = "#2f7bff", "#f5222d"  # bright enough on black, dark enough on white
SIGNED_COLORS = LinearSegmentedColormap.from_list("signed", [AGAINST, "white", FOR])
WRONG = "#b3261e"
# Colours end at this percentile of a map's strength: single pixels would leave the rest of a large image pale.
STRONGEST = 99.5
_SHEET_CELL, _OVERLAY_CELL, _GAP, _BAR = 140, 280, 8, 90  # pixels
_SMALL = 8.0  # points


@dataclass(frozen=True)
class Heat:
    """A map over an image.

    Attributes:
        title: the method: `Grad-CAM at conv2`.
        values: float (h, w), as large as the image.
        signed: whether values below 0 count against the class; else they are all >= 0.
        note: a line on the numbers, for the larger picture.
        if_empty: what is written on the image if the map is zero everywhere, in a few words.
    """

    title: str
    values: np.ndarray
    signed: bool
    note: str = ""
    if_empty: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether the map is zero everywhere, so that nothing of it is seen."""
        return not self.values.any()


@dataclass(frozen=True)
class Explained:
    """An image and its maps.

    Attributes:
        name: the image's.
        image: uint8 (h, w, 1, 3 or 4).
        lines: what is known of it, e.g. `true 4`, `predicted 9 (63 %)`.
        wrong: whether it is known to be misclassified.
        heats: one a method.
    """

    name: str
    image: np.ndarray
    lines: tuple[str, ...]
    wrong: bool
    heats: tuple[Heat, ...]


def overlay(explained: Explained, heat: Heat) -> Figure:
    """Draws an image, the heat map on it and the map's scale.

    Args:
        explained: the image and what is known of it.
        heat: one of its maps.

    Returns:
        A figure of two panels; without a scale if the map is empty.
    """
    height, width = (side * enlargement(explained.image.shape, _OVERLAY_CELL) for side in explained.image.shape[:2])
    whole = 2 * width + _GAP + 80
    notes = wrapped(heat.note, whole, _SMALL)
    head, foot = 3 * LINE + 10, 8 + LINE * len(notes)
    figure = canvas(whole + 20, head + height + foot)
    write(figure, 8, 8, fitted(explained.name, whole), fontweight="bold")
    write(figure, 8, 8 + LINE, fitted(", ".join(explained.lines), whole), color=WRONG if explained.wrong else "black")
    right = 8 + width + _GAP
    write(figure, right, head - LINE, fitted(heat.title, width + 80), color="0.35")
    write(figure, 8, head - LINE, "image", color="0.35")
    show_image(panel(figure, 8, head, width, height), explained.image)
    axes = panel(figure, right, head, width, height)
    scale = show_heat(axes, explained.image, heat)
    if not heat.is_empty:
        bar = panel(figure, right + width + 10, head, 12, height)
        bar.axis("on")
        figure.colorbar(scale, cax=bar).ax.tick_params(labelsize=7, length=2)
    for number, line in enumerate(notes):
        write(figure, 8, head + height + 6 + number * LINE, line, fontsize=_SMALL, color="0.35")
    return figure


def sheet(rows: Sequence[Explained], note: str = "") -> Figure:
    """Draws a table of pictures: a row for each image, a column for the image itself and for each method.

    Args:
        rows: at least one; all images of one shape, with the same methods in the same order.
        note: what else a reader must know, below the pictures.

    Returns:
        A figure with the colours' meaning at its foot.
    """
    height, width = (side * enlargement(rows[0].image.shape, _SHEET_CELL) for side in rows[0].image.shape[:2])
    texts = max(len(line) for row in rows for line in (row.name, *row.lines))
    margin = int(np.clip(CHARACTER * texts + 20, 90, 240))
    columns = len(rows[0].heats) + 1
    names = ("image", *(heat.title for heat in rows[0].heats))
    titles = [textwrap.wrap(name, max(8, int(width / CHARACTER)))[:2] for name in names]
    title_lines = max(map(len, titles))
    bars = _bars(rows[0].heats)
    full_width = max(margin + columns * (width + _GAP), 16 + bars[-1].right)
    notes = wrapped(note, full_width - 16, _SMALL)
    head, foot = title_lines * LINE + 10, LINE * (1 + len(notes)) + 12
    bottom = head + len(rows) * (height + _GAP)
    figure = canvas(full_width, bottom + foot)
    for column, parts in enumerate(titles):
        left = margin + column * (width + _GAP) + width / 2
        for line, part in enumerate(parts, start=title_lines - len(parts)):
            write(figure, left, 4 + line * LINE, part, ha="center")
    for number, row in enumerate(rows):
        top = head + number * (height + _GAP)
        middle = top + height / 2 - LINE * (len(row.lines) + 1) / 2
        write(figure, 8, middle, fitted(row.name, margin - 8), fontweight="bold")
        for line, text in enumerate(row.lines, start=1):
            color = WRONG if row.wrong else "black"
            write(figure, 8, middle + line * LINE, fitted(text, margin - 8), color=color)
        show_image(panel(figure, margin, top, width, height), row.image)
        for column, heat in enumerate(row.heats, start=1):
            show_heat(panel(figure, margin + column * (width + _GAP), top, width, height), row.image, heat)
    for bar in bars:
        _draw_bar(figure, bar, max(8, min(margin, full_width - bars[-1].right - 8)), bottom)
    for number, words in enumerate(notes, start=1):
        write(figure, 8, bottom + number * LINE + 4, words, fontsize=_SMALL, color="0.35")
    return figure


def show_heat(axes: Axes, image: np.ndarray, heat: Heat) -> ScalarMappable:
    """Draws `heat` on the grey image, or its `if_empty` text, and returns its colours' scale.

    Args:
        axes: of the image's proportions.
        image: uint8 (h, w, 1, 3 or 4).
        heat: a map of the image's size.

    Raises:
        ValueError: the map is not as large as the image.
    """
    if heat.values.shape != image.shape[:2]:
        raise ValueError(f"values must be as large as the image. Received: {heat.values.shape} and {image.shape}.")
    luma = np.array([[0.299], [0.587], [0.114]])
    grey = image if image.shape[-1] == 1 else (opaque(image) @ luma).round().astype("uint8")
    show_image(axes, grey)
    strength = np.abs(heat.values)
    top = float(np.percentile(strength, STRONGEST)) or float(strength.max())
    scale = Normalize(-(top or 1.0) if heat.signed else 0.0, top or 1.0)
    colors = ScalarMappable(scale, _colors(heat.signed))
    opacity = np.clip(strength / scale.vmax, 0, 1)
    if heat.signed:  # one colour a sign, and more of it the stronger: what is neutral leaves the image as it is
        painted = np.where(heat.values[..., None] < 0, to_rgb(AGAINST), to_rgb(FOR))
    else:  # the strongest places stay transparent enough to see what is there
        painted, opacity = colors.to_rgba(heat.values)[..., :3], 0.75 * np.sqrt(opacity)
    axes.imshow(np.dstack([painted, opacity]), interpolation="nearest", aspect="auto")
    if heat.is_empty and heat.if_empty:
        axes.text(
            0.5, 0.05, heat.if_empty, transform=axes.transAxes, ha="center", va="bottom", fontsize=_SMALL,
            color="white", bbox={"facecolor": "black", "alpha": 0.7, "edgecolor": "0.6", "linewidth": 0.5},
        )  # fmt: skip
    return colors


@dataclass(frozen=True)
class _Bar:
    """A bar of colours with words at its ends; places in pixels from the legend's left end."""

    signed: bool
    low: str
    high: str
    left: int
    right: int


def _bars(heats: Sequence[Heat]) -> list[_Bar]:
    """Returns a bar for each kind of map that there is, from left to right."""
    bars: list[_Bar] = []
    for signed in sorted({heat.signed for heat in heats}):
        low, high = ("against the class", "for the class") if signed else ("weak", "strong")
        start = bars[-1].right + 24 if bars else 0
        left = start + int(CHARACTER * len(low)) + 8
        bars.append(_Bar(signed, low, high, left, left + _BAR + 8 + int(CHARACTER * len(high))))
    return bars


def _draw_bar(figure: Figure, bar: _Bar, left: int, top: int) -> None:
    colors = np.linspace(0, 1, _BAR)[None]
    write(figure, left + bar.left - 8, top, bar.low, fontsize=_SMALL, ha="right")
    panel(figure, left + bar.left, top + 4, _BAR, 10).imshow(colors, cmap=_colors(bar.signed), aspect="auto")
    write(figure, left + bar.left + _BAR + 8, top, bar.high, fontsize=_SMALL)


def _colors(signed: bool) -> str | Colormap:
    return SIGNED_COLORS if signed else POSITIVE_COLORS
