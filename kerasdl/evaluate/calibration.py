"""Calibration: whether a network that says 90 % is right nine times in ten, in numbers and as a reliability diagram.

Examples are put into bins by confidence, the probability of the predicted class; in each bin the share of right
predictions is compared with the mean confidence. Where the probabilities come from is left to the evaluation.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

BINS = 15  # as Guo et al. (2017) have them
_ACCURACY_COLOR, _GAP_COLOR, _TEXT_COLOR = "#a9c4e2", "#b3541e", "0.25"


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy, in bins of equal width; bin i of n holds confidences in (i/n, (i+1)/n].

    The first bin also holds 0. A bin without examples has accuracy and confidence NaN, and counts nowhere.

    Attributes:
        counts: int64 [bins], examples.
        accuracy: float64 [bins], share of right predictions, in [0, 1].
        confidence: float64 [bins], mean confidence, in [0, 1].
    """

    counts: np.ndarray
    accuracy: np.ndarray
    confidence: np.ndarray

    @cached_property
    def gaps(self) -> np.ndarray:
        """float64 [bins]: mean confidence minus accuracy; positive where the network is too sure of itself."""
        return self.confidence - self.accuracy

    @property
    def expected_error(self) -> float:
        """ECE, in [0, 1]: mean absolute gap, weighted by examples (Naeini et al. 2015; Guo et al. 2017)."""
        return float(np.nansum(np.abs(self.gaps) * self.counts) / self.counts.sum())

    @property
    def maximum_error(self) -> float:
        """MCE, in [0, 1]: the largest absolute gap of a bin (Naeini et al. 2015)."""
        return float(np.nanmax(np.abs(self.gaps)))

    @property
    def mean_accuracy(self) -> float:
        """Share of right predictions of all examples."""
        return float(np.nansum(self.accuracy * self.counts) / self.counts.sum())

    @property
    def mean_confidence(self) -> float:
        """Mean confidence of all examples."""
        return float(np.nansum(self.confidence * self.counts) / self.counts.sum())


def calibration(confidences: np.ndarray, correct: np.ndarray, bins: int = BINS) -> Calibration:
    """Sorts predictions into bins of equal width by their confidence.

    Args:
        confidences: float [n], n >= 1, the probability of the predicted class, in [0, 1].
        correct: bool [n], whether the prediction is right.
        bins: number of bins, >= 1.

    Raises:
        ValueError: no examples, lengths that differ, or a confidence outside [0, 1].
    """
    confidences, correct = np.asarray(confidences, np.float64), np.asarray(correct, bool)
    if confidences.ndim != 1 or confidences.shape != correct.shape or not len(confidences):
        raise ValueError(
            f"confidences and correct must be of one length >= 1. Received: {confidences.shape} and {correct.shape}."
        )
    if not (np.all(confidences >= 0) and np.all(confidences <= 1)):  # this way round NaN is refused, too
        raise ValueError(f"confidences must be in [0, 1]. Received: {confidences.min()} to {confidences.max()}.")
    inner = np.arange(1, bins) / bins
    places = np.searchsorted(inner, confidences, side="left")
    counts = np.bincount(places, minlength=bins)
    hits = np.bincount(places, weights=correct, minlength=bins)
    sums = np.bincount(places, weights=confidences, minlength=bins)
    accuracy, confidence = (
        np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in (hits, sums)
    )
    return Calibration(counts, accuracy, confidence)


def brier_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each example's squared distance between probabilities and one-hot label (Brier 1950).

    Args:
        probabilities: float [n, classes].
        labels: int [n].

    Returns:
        float64 [n], in [0, 2]; their mean is the Brier score, 0 for a network that is sure and right.
    """
    errors = np.array(probabilities, np.float64)
    errors[np.arange(len(errors)), labels] -= 1
    return np.sum(errors**2, axis=1)


def reliability_diagram(found: Calibration) -> Figure:
    """Draws accuracy against confidence a bin, the gap to the diagonal, and how many examples each bin has.

    Returns:
        A figure of two panels over the same confidences: accuracy above, examples (logarithmic) below.
    """
    bins = len(found.counts)
    edges = np.arange(bins + 1) / bins
    used = found.counts > 0
    middles, width = (edges[:-1] + edges[1:])[used] / 2, 1 / bins
    accuracy, confidence = found.accuracy[used], found.confidence[used]

    figure = Figure(figsize=(5.2, 6.6), dpi=120, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bars = {"width": width, "linewidth": 0.8}
    above.bar(middles, accuracy, color=_ACCURACY_COLOR, edgecolor="white", label="accuracy", **bars)
    above.bar(
        middles, confidence - accuracy, bottom=accuracy, color=(_GAP_COLOR, 0.25), edgecolor=_GAP_COLOR,
        hatch="////", label="gap to the mean confidence", **bars,
    )  # fmt: skip
    above.plot([0, 1], [0, 1], color=_TEXT_COLOR, linestyle="--", linewidth=1, label="perfectly calibrated")
    above.set_title(
        f"gap {100 * found.expected_error:.2f} % on average (ECE), {100 * found.maximum_error:.1f} % at most (MCE)",
        loc="left", fontsize=10,
    )  # fmt: skip
    above.set_ylabel("accuracy")
    above.set_ylim(0, 1)
    above.legend(loc="upper left", frameon=False, fontsize=9)

    below.bar(middles, found.counts[used], color="0.75", edgecolor="white", **bars)
    below.set_yscale("log")
    below.set_ylim(0.5, 3 * max(10, found.counts.max()))
    below.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    below.yaxis.set_minor_formatter(NullFormatter())
    for value, name, style in ((found.mean_accuracy, "accuracy", "-"), (found.mean_confidence, "confidence", ":")):
        below.axvline(
            value, color=_TEXT_COLOR, linestyle=style, linewidth=1.2, label=f"mean {name} {100 * value:.2f} %"
        )
    below.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.96), ncols=2, frameon=False, fontsize=8.5)
    below.set_ylabel("examples")
    below.set_xlabel("confidence: probability of the predicted class")
    below.set_xlim(0, 1)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
