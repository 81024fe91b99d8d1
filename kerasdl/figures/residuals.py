"""Predicted numbers against true ones, and how the differences are distributed."""

import numpy as np
from matplotlib.figure import Figure


def residuals(target: np.ndarray, prediction: np.ndarray, name: str) -> Figure:
    """Draws predictions over targets with the line of equality, and residuals (target - prediction) over predictions.

    Args:
        target: (n,), n >= 1.
        prediction: (n,), in the same unit.
        name: of the target.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    low, high = min(target.min(), prediction.min()), max(target.max(), prediction.max())
    left.plot([low, high], [low, high], color="0.6", linewidth=1)
    left.scatter(target, prediction, s=12, alpha=0.6)
    left.set(xlabel=f"true {name}", ylabel=f"predicted {name}", title=f"{len(target):,} examples")
    right.axhline(0, color="0.6", linewidth=1)
    right.scatter(prediction, target - prediction, s=12, alpha=0.6)
    right.set(xlabel=f"predicted {name}", ylabel="residual (true - predicted)")
    return figure
