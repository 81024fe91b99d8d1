"""The most confident mistakes of a network, as a contact sheet: they show wrong labels, bad images and look-alikes.

The search keeps only the images that it may show, so that a split of any size passes by in constant memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasdl.channels import opaque

COUNT = 36
_COLUMNS = 6
# In inches: an image's width, what is between two, the two lines above each, the title.
_SIDE, _GAP, _LABELS, _TITLE = 1.28, 0.1, 0.34, 0.4
_TALLEST = 1.5  # times the width; what is taller gets narrower
_LONGEST_NAME = 12  # characters that fit above an image, next to the probability
_WRONG_COLOR, _TRUE_COLOR = "#b2341f", "0.3"


@dataclass(frozen=True)
class Mistake:
    """A misclassified example.

    Attributes:
        image: uint8 [height, width, channels], 1, 3 or 4 channels; None if the examples have no image.
        index: of the example in its split.
        label: the true class.
        predicted: the predicted class.
        confidence: its probability, in [0, 1].
    """

    image: np.ndarray | None
    index: int
    label: int
    predicted: int
    confidence: float


class MostConfidentMistakes:
    """The most confident mistakes of the batches that were added.

    Args:
        count: how many are kept, >= 1.

    Attributes:
        found: those kept, the most confident first; of equally confident ones the lower index.
        total: how many mistakes there were in all.
    """

    def __init__(self, count: int = COUNT):
        self._count = count
        self.found: list[Mistake] = []
        self.total = 0

    def add(
        self,
        images: np.ndarray | None,
        indices: np.ndarray,
        labels: np.ndarray,
        predicted: np.ndarray,
        confidences: np.ndarray,
    ) -> None:
        """Adds a batch: images uint8 [b, height, width, channels] or None; each one's index, classes, confidence."""
        wrong = np.flatnonzero(labels != predicted)
        self.total += len(wrong)
        most_confident = wrong[np.lexsort((indices[wrong], -confidences[wrong]))][: self._count]
        new = [
            Mistake(
                None if images is None else images[i].copy(),  # a part of the batch would hold all of it
                int(indices[i]),
                int(labels[i]),
                int(predicted[i]),
                float(confidences[i]),
            )
            for i in most_confident
        ]
        self.found = sorted([*self.found, *new], key=lambda each: (-each.confidence, each.index))[: self._count]


def contact_sheet(mistakes: Sequence[Mistake], total: int, class_names: Sequence[str]) -> Figure:
    """Draws mistakes in rows of six: above each the predicted class, its probability, and the true class.

    Args:
        mistakes: in the order to be shown, at least one, each with its image.
        total: how many mistakes there were in all, for the title.
        class_names: one name a class.

    Raises:
        ValueError: there is nothing to show.
    """
    images = [each.image for each in mistakes if each.image is not None]
    if not images:
        raise ValueError("mistakes must hold at least one with an image. Received none.")
    height, width = images[0].shape[:2]
    tall = _SIDE * min(height / width, _TALLEST)
    rows, cell = math.ceil(len(mistakes) / _COLUMNS), tall + _LABELS + _GAP
    size = _COLUMNS * (_SIDE + _GAP) + _GAP, rows * cell + _TITLE  # inches
    figure = Figure(figsize=size, dpi=120)
    what = "the only mistake" if total == 1 else f"the most confident of {total:,} mistakes"
    figure.suptitle(
        f"{what}: predicted class and its probability, true class below",
        x=_GAP / size[0], y=1 - 0.1 / size[1], ha="left", va="top", fontsize=11,
    )  # fmt: skip
    for place, (each, image) in enumerate(zip(mistakes, images, strict=True)):
        left, top = _GAP + place % _COLUMNS * (_SIDE + _GAP), _TITLE + place // _COLUMNS * cell + _LABELS
        axes = figure.add_axes((left / size[0], 1 - (top + tall) / size[1], _SIDE / size[0], tall / size[1]))
        axes.set_anchor("NW")
        _draw(axes, each, image, class_names)
    return figure


def _draw(axes: Axes, mistake: Mistake, image: np.ndarray, class_names: Sequence[str]) -> None:
    # Small images show their pixels; large ones are made smaller without moire.
    interpolation = "nearest" if max(image.shape[:2]) <= _SIDE * 120 else "antialiased"
    axes.imshow(opaque(image), interpolation=interpolation)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")
    lines = (
        (f"{_short(class_names[mistake.predicted])}  {100 * mistake.confidence:.1f} %", 13, _WRONG_COLOR),
        (f"true {_short(class_names[mistake.label])}", 2, _TRUE_COLOR),
    )
    for text, height, color in lines:
        axes.annotate(
            text, (0, 1), (0, height), xycoords="axes fraction", textcoords="offset points",
            fontsize=8, color=color, parse_math=False,
        )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
