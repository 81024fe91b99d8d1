"""The confusion matrix: which classes a network confuses with which others.

Drawn with matplotlib's objects (`Figure`), not with pyplot: no global state, no display, any thread. Counting is left
to the evaluation.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

# Beyond this many classes the numbers of cells can't be read.
MAX_CLASSES_WITH_NUMBERS = 20
# Beyond this many classes the names can't be read either, and the axes count the classes.
MAX_CLASSES_WITH_NAMES = 100
# Longer names are cut: they would leave no room for the matrix.
MAX_NAME = 24
_TICKS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix; colours are shares of a row, so that rare classes are seen as well.

    The colours follow the square root of the share: on a linear scale the mistakes of a good network would be
    invisible.

    Args:
        counts: int [C, C], C >= 1; `counts[i, j]` examples of class i were classified as j.
        class_names: C names.

    Returns:
        A figure; with at most `MAX_CLASSES_WITH_NUMBERS` classes each cell shows its count.

    Raises:
        ValueError: if the shapes don't fit.
    """
    counts = np.asarray(counts)
    classes = len(class_names)
    if counts.shape != (classes, classes):
        raise ValueError(f"counts must have the shape ({classes}, {classes}) of class_names. Received: {counts.shape}.")
    totals = counts.sum(axis=1, keepdims=True)
    # A class without examples has no shares: its row stays white.
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)

    names = [name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…" for name in class_names]
    has_names = classes <= MAX_CLASSES_WITH_NAMES
    size = float(np.clip(0.52 * classes + 1.6, 4.2, 13.0))
    margin = 0.07 * max(map(len, names)) if has_names else 0.4  # inches
    figure = Figure(figsize=(size + 0.8 + margin, size + margin), dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0.0, 1.0))
    bar = figure.colorbar(image, ax=axes, label="share of the true class, in %", shrink=0.8, ticks=_TICKS)
    bar.ax.set_yticklabels([f"{100 * tick:g}" for tick in _TICKS])
    bar.ax.minorticks_off()
    correct, examples = int(np.trace(counts)), int(counts.sum())
    axes.set_title(f"{correct:,} of {examples:,} correct", loc="left", fontsize=11)
    number = "" if has_names else " (number)"
    axes.set_xlabel(f"predicted class{number}")
    axes.set_ylabel(f"true class{number}")
    axes.spines[:].set_visible(False)
    if has_names:
        # A row of the largest matrices is 8 points high.
        fontsize = 9 if classes <= MAX_CLASSES_WITH_NUMBERS else 8 if classes <= 60 else 6
        upright = max(map(len, names)) <= (3 if classes <= MAX_CLASSES_WITH_NUMBERS else 1)
        axes.set_xticks(range(classes), names, rotation=0 if upright else 90, fontsize=fontsize, parse_math=False)
        axes.set_yticks(range(classes), names, fontsize=fontsize, parse_math=False)
        axes.tick_params(length=0)
    if classes <= MAX_CLASSES_WITH_NUMBERS:
        _write_counts(axes, counts, shares, room=72 * (size - 1.6) / classes)
    return figure


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray, room: float) -> None:
    """Writes each count in its cell, which is `room` points wide."""
    for (row, column), count in np.ndenumerate(counts):
        if count:
            text = f"{count:,}"
            color = "white" if shares[row, column] > 0.3 else "0.25"
            fontsize = min(8.0, room / (0.65 * len(text)))
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=fontsize)
