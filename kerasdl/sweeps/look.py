"""What the pictures of a sweep have in common."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasdl.sweeps.trials import Objective, State, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 120


def has_result(trial: Trial, objectives: Sequence[Objective]) -> bool:
    values = trial.values or ()
    return trial.state is State.FINISHED and len(values) == len(objectives) and all(map(math.isfinite, values))


def scale_of(values: Sequence[float], objective: Objective) -> str:
    # A loss may fall by decades, or one trial's may have blown up; an accuracy does neither.
    return "log" if not objective.maximize and 0 < 100 * min(values) <= max(values) else "linear"


def tidy(axes: "Axes", title: str = "", pad: float | None = None) -> None:
    # In place of Optuna's style (ggplot). Said outright: ticks are made when a figure is saved, under other settings.
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
