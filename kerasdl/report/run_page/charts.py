"""A run's metrics over time as small charts: SVG that scales and prints, in a light and a dark form.

Each chart is an image of its own, so that the page can lay them out for its width and show the form that the reader's
system asks for. Drawn with matplotlib's objects (`Figure`), not with pyplot: no global state, no display.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

VALIDATION_PREFIX = "val_"
# More points than a chart has pixels only make the file large.
MAX_POINTS = 400
# `images_per_second` is what earlier versions called the speed.
_NOT_CURVES = ("epoch", "examples_per_second", "images_per_second", "seconds", "learning_rate")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Theme:
    """The colours of a chart."""

    ink: str
    grid: str
    first: str
    second: str


LIGHT = Theme("#3d4450", "#e4e7ec", "#3b6ea8", "#d1702f")
DARK = Theme("#c3c9d4", "#363c47", "#7fb0e8", "#f0a06a")


@dataclass(frozen=True)
class Chart:
    """A chart in both forms, with a description in words."""

    title: str
    alt: str
    light: str
    dark: str


def epoch_charts(histories: Mapping[str, Points]) -> list[Chart]:
    """Draws a chart for each quantity of the epochs, the loss first, training and validation in one.

    Args:
        histories: (step, value) of each metric; the metric "epoch" has the epochs at each step.

    Returns:
        Charts over epochs, or over steps if the epochs are unknown; none if there are no such metrics.
    """
    epochs = histories.get("epoch", ())
    steps_per_epoch = next((step / epoch for step, epoch in epochs if step and epoch), None)
    is_curve = {key: "/" not in key and not key.startswith("test_") and key not in _NOT_CURVES for key in histories}
    names = list(dict.fromkeys(key.removeprefix(VALIDATION_PREFIX) for key in histories if is_curve[key]))
    names.sort(key=lambda name: (name != "loss", name != "accuracy", name))
    unit = "epoch" if steps_per_epoch else "step"
    charts = []
    for name in names:
        series = {"training": histories.get(name, ()), "validation": histories.get(VALIDATION_PREFIX + name, ())}
        scaled = {label: _finite(points, steps_per_epoch or 1) for label, points in series.items() if points}
        title = name.replace("_", " ")
        charts.append(_chart(title, _described(title, scaled, unit), partial(_draw_series, series=scaled, unit=unit)))
    return charts


def step_charts(losses: Points, rates: Points) -> list[Chart]:
    """Draws the loss and the learning rate of the steps; either may be empty, and is left out then.

    Args:
        losses: (step, loss); where they are many, a line of means in a band from least to most.
        rates: (step, learning rate); logarithmic if they span a decade.
    """
    charts, losses, rates = [], _finite(losses), _finite(rates)
    if losses:
        alt = _described("loss", {"training": losses}, "step")
        charts.append(_chart("loss of each step", alt, partial(_draw_band, points=losses)))
    if rates:
        alt = _described("learning rate", {"": rates}, "step")
        charts.append(_chart("learning rate", alt, partial(_draw_rates, points=rates)))
    return charts


def _finite(points: Points, steps_per_unit: float = 1) -> Points:
    """Returns points with steps in another unit; what isn't finite (MLflow keeps inf as 1.8e308) is NaN, a gap."""
    return [(step / steps_per_unit, value if abs(value) < 1e300 else math.nan) for step, value in points]


def _described(what: str, series: Mapping[str, Points], unit: str) -> str:
    """Returns a chart in words: where its lines begin and end."""
    parts = [
        f"{label} from {points[0][1]:.4g} at {unit} {points[0][0]:g} to {points[-1][1]:.4g} at {unit} {points[-1][0]:g}"
        for label, points in series.items()
    ]
    return f"Line chart of the {what} over {unit}s: {'; '.join(parts).strip()}."


def _chart(title: str, alt: str, draw) -> Chart:
    return Chart(title, alt, _svg(title, LIGHT, draw), _svg(title, DARK, draw))


def _svg(title: str, theme: Theme, draw) -> str:
    figure = Figure(figsize=(5.2, 3.3), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.subplots()
    axes.patch.set_alpha(0.0)
    draw(axes, theme)
    axes.set_title(title, loc="left", fontsize=11, color=theme.ink)
    axes.tick_params(colors=theme.ink, labelsize=9, which="both")
    axes.xaxis.label.set_color(theme.ink)
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.grid)
    if legend := axes.get_legend():
        for text in legend.get_texts():
            text.set_color(theme.ink)
    file = io.StringIO()
    # Ids that depend on the contents and no date: the same run gives the same page.
    with matplotlib.rc_context({"svg.hashsalt": title}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _draw_series(axes: Axes, theme: Theme, series: Mapping[str, Points], unit: str) -> None:
    looks = {"training": (theme.first, "-"), "validation": (theme.second, "--")}
    for label, points in series.items():
        color, line = looks[label]
        marker = "o" if len(points) <= 30 else None  # they are all there is to see of a single epoch
        axes.plot(*zip(*points, strict=True), line, label=label, color=color, marker=marker, markersize=4)
    axes.set_xlabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(frameon=False, fontsize=9)
    if not any(math.isfinite(value) for points in series.values() for _, value in points):
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite values", transform=axes.transAxes, ha="center", color=theme.ink)


def _draw_band(axes: Axes, theme: Theme, points: Points) -> None:
    steps, values = (np.array(column, float) for column in zip(*points, strict=True))
    if len(points) <= MAX_POINTS:
        axes.plot(steps, values, color=theme.first, linewidth=1.2)
    else:
        pieces = np.array_split(np.arange(len(points)), MAX_POINTS)
        middle = [steps[piece].mean() for piece in pieces]
        mean, least, most = ([measure(values[piece]) for piece in pieces] for measure in (np.mean, np.min, np.max))
        axes.fill_between(middle, least, most, color=theme.first, alpha=0.25, linewidth=0)
        axes.plot(middle, mean, color=theme.first, linewidth=1.2)
    axes.set_xlabel("step")


def _draw_rates(axes: Axes, theme: Theme, points: Points) -> None:
    every = -(-len(points) // MAX_POINTS)
    shown = [*points[::every], points[-1]]
    values = [value for _, value in shown]
    axes.plot(*zip(*shown, strict=True), color=theme.first, linewidth=1.5)
    axes.set_xlabel("step")
    axes.set_yscale("log" if 0 < 10 * min(values) <= max(values) else "linear")
    if min(values) == max(values):
        axes.set_ylim(0, 1.5 * values[0] or 1.0)
