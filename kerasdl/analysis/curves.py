"""Learning curves: what was optimised and what was measured, epoch by epoch, for training and validation.

Figures are made with matplotlib's objects (`Figure`), not with pyplot: no global state, no display, any thread. Where a
figure goes is left to the caller.
"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

VALIDATION_PREFIX = "val_"
TRAIN_COLOR, VALIDATION_COLOR = "#3b6ea8", "#d1702f"


def learning_curves(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draws one panel for each quantity, the loss first, training and validation in one panel.

    Args:
        history: values per epoch, keyed as in Keras' `History.history`: "loss", "accuracy", "val_loss", ...; a
            "learning_rate" comes last, logarithmic if it spans a decade. NaN leaves a gap. At least one key.

    Returns:
        A figure of one row; each x-axis counts epochs from 1.

    Raises:
        ValueError: if `history` has no values.
    """
    if not any(len(values) for values in history.values()):
        raise ValueError("history must hold the values of at least one epoch. Received none.")
    names = list(dict.fromkeys(key.removeprefix(VALIDATION_PREFIX) for key in history))
    names.sort(key=lambda name: (name != "loss", name == "learning_rate"))
    figure = Figure(figsize=(4.6 * len(names), 3.8), dpi=120, layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _panel(axes, name, history.get(name, ()), history.get(VALIDATION_PREFIX + name, ()))
    return figure


def _panel(axes, name: str, train: Sequence[float], validation: Sequence[float]) -> None:
    epochs = max(len(train), len(validation))
    for values, label, color in ((train, "train", TRAIN_COLOR), (validation, "validation", VALIDATION_COLOR)):
        if len(values):
            # Points show where the values are, and are all there is to see of a single epoch.
            marker = "o" if epochs <= 30 else None
            axes.plot(range(1, len(values) + 1), values, label=label, color=color, marker=marker, markersize=4)
    axes.set_title(name.replace("_", " "), loc="left", fontsize=11)
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, epochs + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if name == "learning_rate":
        spans_a_decade = 0 < 10 * min(train, default=0) <= max(train, default=0)
        axes.set_yscale("log" if spans_a_decade else "linear")
    elif len(train) and len(validation):
        axes.legend(frameon=False)
