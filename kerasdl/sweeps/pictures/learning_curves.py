"""The learning curves of all trials of a sweep, in one picture."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kerasdl.sweeps.pictures.style import DPI, tidy
from kerasdl.sweeps.results import best
from kerasdl.sweeps.trials import Objective, State, Trial, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The style of the curves of trials without a result.
_UNFINISHED: dict[State, dict[str, Any]] = {
    State.PRUNED: {"color": "0.72", "linewidth": 0.8, "marker": "x"},
    State.FAILED: {"color": "0.72", "linewidth": 0.8, "linestyle": ":"},
    State.RUNNING: {"color": "0.35", "linewidth": 0.9, "linestyle": "--"},
    State.WAITING: {"color": "0.35", "linewidth": 0.9, "linestyle": ":"},
}


def has_result(trial: Trial, objectives: Sequence[Objective]) -> bool:
    """Returns whether a trial has finished with a finite value for each objective."""
    values = trial.values or ()
    return trial.state is State.FINISHED and len(values) == len(objectives) and all(map(math.isfinite, values))


def scale_of(values: Sequence[float], objective: Objective) -> str:
    """Returns the scale for values of an objective: "log" or "linear"."""
    # A loss may fall by decades, or diverge in one trial; an accuracy does neither.
    return "log" if not objective.maximize and 0 < 100 * min(values) <= max(values) else "linear"


def points(trial: Trial) -> list[tuple[int, float]]:
    """Returns a trial's finite reports, by training step."""
    return sorted((step, value) for step, value in trial.reports.items() if math.isfinite(value))


def _focus(axes: "Axes", drawn: Sequence[Trial], objective: Objective) -> None:
    """Zooms in on the finished trials and the better half of the others; the rest leaves the picture at its edge."""
    lasts = sorted((points(trial)[-1][1] for trial in drawn), reverse=objective.maximize)
    whole = [value for trial in drawn if trial.state is State.FINISHED for _, value in points(trial)]
    if not whole:
        return
    shown = [*whole, *lasts[: (len(lasts) + 1) // 2]]
    low, high = axes.get_ylim()
    room = 0.05 * (max(shown) - min(shown)) or 0.05 * abs(max(shown)) or 1.0
    # Only the bad side is cut: the best is always in sight.
    if objective.maximize:
        axes.set_ylim(max(low, min(shown) - room), max(shown) + room)
    else:
        axes.set_ylim(min(shown) - room, min(high, max(shown) + room))


def learning_curves(trials: Sequence[Trial], objective: Objective) -> "Figure":
    """Draws the reports of all trials: finished ones coloured by their result, the best one thick and in the legend."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = [trial for trial in trials if points(trial)]
    # Reports are of the first objective; so are the colours, and the best trial.
    results = [replace(trial, values=trial.values[:1]) for trial in drawn if trial.values]
    results = [trial for trial in results if has_result(trial, [objective])]
    values = {trial.number: trial.values[0] for trial in results if trial.values}
    winners = {trial.number for trial in best(results, [objective])}

    figure = Figure(figsize=(8.0, 4.8), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    scale = scale_of([value for trial in drawn for _, value in points(trial)], objective)
    norm = LogNorm if values and scale_of(list(values.values()), objective) == "log" else Normalize
    # The better, the darker: pale lines would hide the best ones on white.
    map_name = "viridis_r" if objective.maximize else "viridis"
    colors: Any = ScalarMappable(norm(min(values.values(), default=0.1), max(values.values(), default=1.0)), map_name)
    in_legend = set()
    for trial in sorted(drawn, key=lambda trial: (trial.number in winners, trial.number in values, trial.number)):
        steps, reports = zip(*points(trial), strict=True)
        if trial.number in values:
            line: dict[str, Any] = {"color": colors.to_rgba(values[trial.number]), "linewidth": 1.2}
        else:
            name = "no finite result" if trial.state is State.FINISHED else trial.state.lower()
            line = _UNFINISHED.get(trial.state, _UNFINISHED[State.FAILED]) | (
                {} if name in in_legend else {"label": name}
            )
            in_legend.add(name)
        if trial.number in winners:
            name = f"best: trial {trial.number}, {label(trial.overrides)}".replace("$", r"\$")
            line |= {"linewidth": 3.0, "label": textwrap.fill(name, 100)}
        if len(steps) == 1:
            line = {"marker": "o"} | line  # a line of one point would be invisible
        axes.plot(steps, reports, markevery=[-1], markersize=5, **line)
    tidy(axes, f"{objective.metric} of {len(drawn)} trial{'s' if len(drawn) != 1 else ''}")
    axes.set_yscale(scale)
    if scale == "linear":
        _focus(axes, drawn, objective)
    axes.set_xlabel("training step")
    axes.set_ylabel(objective.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(set(values.values())) > 1:
        figure.colorbar(colors, ax=axes, label=f"result ({objective.metric})")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    return figure
