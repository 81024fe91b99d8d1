"""Learning curves: loss and metrics, epoch by epoch, for training and validation.

Figures are made with matplotlib's objects (`Figure`), not with pyplot: no global state, no display, any thread. Saving
a figure is left to the caller.
"""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

VALIDATION_PREFIX = "val_"
TRAIN_COLOR, VALIDATION_COLOR = "#3b6ea8", "#d1702f"
# More panels continue in a further row: in one row they would be too small to read.
PANELS_IN_A_ROW = 3


def learning_curves(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draws one panel for each quantity, the loss first, training and validation in one panel.

    Args:
        history: values per epoch, keyed as in Keras' `History.history`: "loss", "accuracy", "val_loss", ...; a
            "learning_rate" comes last, logarithmic if it spans a decade, and is left out if it never changes and there
            is anything else to show. What isn't finite leaves a gap, and the panel says so. At least one key.

    Returns:
        A figure with up to `PANELS_IN_A_ROW` panels in a row; each x-axis counts epochs from 1.

    Raises:
        ValueError: if `history` has no values.
    """
    if not any(len(values) for values in history.values()):
        raise ValueError("history must hold the values of at least one epoch. Received none.")
    names = list(dict.fromkeys(key.removeprefix(VALIDATION_PREFIX) for key in history))
    if len(names) > 1 and len(set(history.get("learning_rate", ()))) == 1:
        names.remove("learning_rate")
    names.sort(key=lambda name: (name != "loss", name == "learning_rate"))
    rows = math.ceil(len(names) / PANELS_IN_A_ROW)
    columns = math.ceil(len(names) / rows)
    figure = Figure(figsize=(4.6 * columns, 3.8 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, name in zip(panels, names, strict=False):
        _panel(axes, name, history.get(name, ()), history.get(VALIDATION_PREFIX + name, ()))
    for axes in panels[len(names) :]:
        axes.remove()
    return figure


def _panel(axes: Axes, name: str, train: Sequence[float], validation: Sequence[float]) -> None:
    epochs = max(len(train), len(validation))
    # The lines differ in more than their colours, so that they can be told apart in black and white.
    looks = {"training": (train, TRAIN_COLOR, "-"), "validation": (validation, VALIDATION_COLOR, "--")}
    for label, (values, color, line) in looks.items():
        if len(values):
            # Points show where the values are, and a single epoch shows nothing else.
            marker = "o" if epochs <= 30 else None
            axes.plot(range(1, len(values) + 1), values, line, label=label, color=color, marker=marker, markersize=4)
    axes.set_title(name.replace("_", " "), loc="left", fontsize=11)
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, epochs + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _mark_gaps(axes, [value for values in (train, validation) for value in values])
    if name == "learning_rate":
        _scale_rates(axes, train)
    else:
        axes.legend(frameon=False)


def _mark_gaps(axes: Axes, values: Sequence[float]) -> None:
    missing = sum(not math.isfinite(value) for value in values)
    if missing == len(values):
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite values", transform=axes.transAxes, ha="center", color="0.35")
    elif missing:
        note = "1 value is not finite" if missing == 1 else f"{missing} values are not finite"
        axes.set_title(note, loc="right", fontsize=9, color="0.35")


def _scale_rates(axes: Axes, rates: Sequence[float]) -> None:
    """Scales an axis of learning rates: logarithmic if they span a decade, from zero if they are all the same.

    Around a constant, matplotlib would choose a range of a few per cent, on which rounding looks like a change.
    """
    low, high = min(rates, default=0.0), max(rates, default=0.0)
    axes.set_yscale("log" if 0 < 10 * low <= high else "linear")
    if low == high:
        axes.set_ylim(0, 1.5 * high or 1.0)
