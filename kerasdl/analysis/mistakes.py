"""The mistakes that a network is surest of, as a contact sheet: they show wrong labels, bad images and look-alikes.

The search keeps only the images that it may show, so that a split of any size passes by in constant memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from kerasdl.channels import opaque

COUNT = 36
_COLUMNS = 6
_INCHES = 1.25  # side of an image
_LONGEST_NAME = 12  # characters that fit over an image, beside the probability
_WRONG_COLOR, _TRUE_COLOR = "#b2341f", "0.3"


@dataclass(frozen=True)
class Mistake:
    """An example that is taken for another class.

    Attributes:
        image: uint8 [height, width, channels], 1, 3 or 4 channels.
        index: where it stands in its split.
        label: the true class.
        predicted: what it was taken for.
        confidence: the probability of that, in [0, 1].
    """

    image: np.ndarray
    index: int
    label: int
    predicted: int
    confidence: float


class MostConfidentMistakes:
    """The surest mistakes of the batches that were shown.

    Args:
        count: how many are kept, >= 1.

    Attributes:
        found: those kept, the surest first; of equally sure ones the lower index.
        total: how many mistakes there were in all.
    """

    def __init__(self, count: int = COUNT):
        self._count = count
        self.found: list[Mistake] = []
        self.total = 0

    def look(
        self,
        images: np.ndarray,
        indices: np.ndarray,
        labels: np.ndarray,
        predicted: np.ndarray,
        confidences: np.ndarray,
    ) -> None:
        """Takes in a batch: images uint8 [b, height, width, channels], and for each its index, classes, confidence."""
        wrong = np.flatnonzero(labels != predicted)
        self.total += len(wrong)
        surest = wrong[np.lexsort((indices[wrong], -confidences[wrong]))][: self._count]
        new = [
            # A copy: a part of the batch would hold all of it.
            Mistake(images[i].copy(), int(indices[i]), int(labels[i]), int(predicted[i]), float(confidences[i]))
            for i in surest
        ]
        self.found = sorted([*self.found, *new], key=lambda each: (-each.confidence, each.index))[: self._count]


def contact_sheet(mistakes: Sequence[Mistake], total: int, class_names: Sequence[str]) -> Figure:
    """Draws mistakes in rows of six: above each the class it was taken for, that class's probability, the true class.

    Args:
        mistakes: in the order to be shown, at least one.
        total: how many mistakes there were in all, for the title.
        class_names: one name a class.

    Raises:
        ValueError: there is nothing to show.
    """
    if not mistakes:
        raise ValueError("mistakes must hold at least one. Received none.")
    rows = math.ceil(len(mistakes) / _COLUMNS)
    padding = ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.07)  # inches
    figure = Figure(figsize=((_INCHES + 0.15) * _COLUMNS, (_INCHES + 0.5) * rows + 0.5), dpi=120, layout=padding)
    what = "the only mistake" if total == 1 else f"the surest of {total:,} mistakes"
    figure.suptitle(f"{what}: predicted class and its probability, true class", x=0.01, ha="left", fontsize=11)
    cells = figure.subplots(rows, _COLUMNS, squeeze=False).flat
    for axes in cells[len(mistakes) :]:
        axes.axis("off")
    for axes, each in zip(cells, mistakes, strict=False):
        _draw(axes, each, class_names)
    return figure


def _draw(axes, mistake: Mistake, class_names: Sequence[str]) -> None:
    # Small images show their pixels; large ones are made smaller without moire.
    interpolation = "nearest" if max(mistake.image.shape[:2]) <= _INCHES * 120 else "antialiased"
    axes.imshow(opaque(mistake.image), interpolation=interpolation)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")
    lines = (
        (f"{_short(class_names[mistake.predicted])}  {100 * mistake.confidence:.1f} %", 1.16, _WRONG_COLOR),
        (f"true {_short(class_names[mistake.label])}", 1.02, _TRUE_COLOR),
    )
    for text, height, color in lines:
        axes.text(
            0, height, text, transform=axes.transAxes, ha="left", va="bottom", fontsize=9, color=color, parse_math=False
        )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
