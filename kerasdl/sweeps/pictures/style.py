"""The style of a sweep's pictures, and what each of Optuna's plots needs to have it."""

import math
from typing import TYPE_CHECKING, Any

from kerasdl.sweeps.pictures.parameters import Parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DPI = 120
# Slices of more parameters continue in a further row.
SLICES_IN_A_ROW = 4


def tidy(axes: "Axes", title: str = "", pad: float | None = None) -> None:
    """Gives axes the style, and a title."""
    # Replaces Optuna's style (ggplot). Explicit, because ticks are made when a figure is saved, under other settings.
    axes.set_title("")
    axes.set_title(title, loc="left", fontsize=11, color="black", pad=pad)
    axes.set_facecolor("white")
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[:].set_color("0.3")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", color="0.3", labelcolor="0.2")
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color="0.1", fontsize=10)


def finish_history(figure: "Figure", name: str, scale: str) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    axes = figure.axes[0]
    tidy(axes, f"{name} of each finished trial")
    axes.set_yscale(scale)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.lines[0].set_drawstyle("steps-post")  # nothing lies between two trials
    # Optuna's legend is beside the axes and takes a quarter of the width.
    axes.legend(["trial", "best so far"], frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return figure


def finish_importances(figure: "Figure", name: str) -> "Figure":
    axes = figure.axes[0]
    tidy(axes, f"importance of each parameter for {name}")
    axes.set_xlabel("share of the importance (PED-ANOVA)")
    axes.set_ylabel("")
    axes.set_xlim(right=axes.get_xlim()[1] * 1.05)
    axes.grid(False, axis="y")
    axes.legend().remove()  # it only names the objective
    return figure


def finish_slices(figure: "Figure", name: str, scale: str, space: dict[str, Parameter]) -> "Figure":
    from matplotlib.gridspec import GridSpec
    from matplotlib.ticker import MaxNLocator

    *panels, colorbar = figure.axes
    columns = min(len(panels), SLICES_IN_A_ROW)
    rows = math.ceil(len(panels) / columns)
    # Optuna draws one row, however long.
    grid = GridSpec(rows, columns, figure=figure)
    for place, axes in enumerate(panels):
        axes.set_subplotspec(grid[place // columns, place % columns])
        tidy(axes)
        axes.set_yscale(scale)
        first = place % columns == 0
        axes.set_ylabel(name if first else "")
        axes.tick_params(axis="y", which="both", labelleft=first)
        parameter = space[axes.get_xlabel()]
        _use_whole_numbers(axes.xaxis, parameter)
        if parameter.categories is not None:
            written = list(parameter.categories.values())
            slanted = len("".join(written)) > 16
            turn: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
            axes.set_xticks(range(len(written)), written, **turn)
            axes.set_xlim(-0.5, len(written) - 0.5)
    figure.set_size_inches(1.6 + 3.0 * columns, 0.6 + 3.2 * rows)
    figure.suptitle(f"{name} by parameter", fontsize=11, x=0.01, ha="left")
    colorbar.set_ylabel("trial", fontsize=10)
    colorbar.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _use_whole_numbers(axis: "Axis", parameter: Parameter) -> None:
    """Labels the axis of seeds, layers and the like with whole numbers only."""
    from matplotlib.ticker import MaxNLocator
    from optuna.distributions import IntDistribution

    if isinstance(parameter.distribution, IntDistribution) and axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def finish_parallel(figure: "Figure", scale: str, space: dict[str, Parameter]) -> "Figure":
    from matplotlib.colors import LogNorm

    first = figure.axes[0]
    lines = first.collections[0]
    # The better, the darker, as in Optuna's plot, but never as pale as the background.
    lines.set_cmap("viridis" if lines.get_cmap().name.endswith("_r") else "viridis_r")
    if scale == "log":
        lines.set_norm(LogNorm(*lines.get_clim()))
    # After the axes of the results and of their colours come those of the parameters.
    names = [tick.get_text() for tick in first.get_xticklabels() if tick.get_text() in space]
    for axes, name in zip(figure.axes[-len(names) :], names, strict=True):
        _use_whole_numbers(axes.yaxis, space[name])
    for axes in figure.axes:
        axes.grid(False)
        axes.tick_params(which="both", color="0.3", labelcolor="0.2")
        axes.spines[["left", "right"]].set_color("0.6")
        for tick in axes.get_yticklabels(which="both"):
            tick.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0})
    tidy(first, "parameters and result of each finished trial", pad=16)  # the uppermost numbers are above the axes
    first.grid(False)
    first.spines[["bottom", "right"]].set_visible(False)
    for tick in first.get_xticklabels():
        tick.set(rotation=20, ha="right", rotation_mode="anchor")
    return figure


def finish_pareto(figure: "Figure") -> "Figure":
    axes = figure.axes[0]
    tidy(axes, "Pareto front")
    axes.legend(["Pareto front"] if len(axes.collections) == 1 else ["dominated", "Pareto front"], frameon=False)
    return figure
