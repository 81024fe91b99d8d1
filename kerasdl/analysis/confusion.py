"""The confusion matrix: which classes a network takes for which others.

Drawn with matplotlib's objects (`Figure`), not with pyplot: no global state, no display, any thread. Counting is left
to the evaluation.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

# Beyond this many classes the numbers of cells can't be read.
MAX_CLASSES_WITH_NUMBERS = 20
# Beyond this many classes the names can't be read either.
MAX_CLASSES_WITH_NAMES = 60


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix; colours are shares of a row, so that rare classes are seen as well.

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

    size = float(np.clip(0.52 * classes + 1.6, 4.2, 13.0))
    figure = Figure(figsize=(size + 0.8, size), dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    correct, examples = int(np.trace(counts)), int(counts.sum())
    axes.set_title(f"{correct:,} of {examples:,} correct", loc="left", fontsize=11)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.spines[:].set_visible(False)
    if classes <= MAX_CLASSES_WITH_NAMES:
        fontsize = 9 if classes <= MAX_CLASSES_WITH_NUMBERS else 6
        upright = classes <= MAX_CLASSES_WITH_NUMBERS and max(map(len, class_names)) <= 3
        axes.set_xticks(range(classes), class_names, rotation=0 if upright else 90, fontsize=fontsize)
        axes.set_yticks(range(classes), class_names, fontsize=fontsize)
        axes.tick_params(length=0)
    if classes <= MAX_CLASSES_WITH_NUMBERS:
        _write_counts(axes, counts, shares)
    return figure


def _write_counts(axes, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.55 else "0.25"
            fontsize = 8 if count < 10_000 else 6
            axes.text(column, row, f"{count}", ha="center", va="center", color=color, fontsize=fontsize)
