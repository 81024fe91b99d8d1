"""The pictures of a sweep: how the search went, which parameters mattered, and how each trial learned.

All but the learning curves are Optuna's own plots, over a study in memory that is rebuilt from the trials: so they look
the same whether Optuna, a grid or a list chose the configurations. A picture that would show nothing isn't drawn: what
it needs is checked beforehand. Where the figures go is left to the caller.

Optuna draws with pyplot, whose state belongs to the process. Whatever that touches (backend, style, open figures,
warnings, log level) is put back before the figures are handed out; a lock keeps two threads from doing so at once.
"""

import importlib
import math
import statistics
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kerasdl.config.keys import short_names
from kerasdl.sweeps.curves import learning_curves, points
from kerasdl.sweeps.look import DPI, has_result, scale_of, tidy
from kerasdl.sweeps.table import swept_keys
from kerasdl.sweeps.trials import Objective, Trial, text

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

# Slices of more parameters than this go on in a further row.
SLICES_IN_A_ROW = 4
# Values of a category that are longer are cut.
MAX_CATEGORY_LENGTH = 18

_PYPLOT = threading.Lock()


def prepare() -> threading.Thread:
    """Begins to import what pictures will need, 2 s: a sweep waits for its first trials' process meanwhile.

    Returns:
        The thread, to be joined before the program ends: some modules can't be imported while it does.
    """
    names = (
        "optuna.importance",
        "optuna.visualization.matplotlib",
        "matplotlib.figure",
        "matplotlib.backends.backend_agg",
    )
    thread = threading.Thread(target=lambda: [importlib.import_module(name) for name in names], daemon=True)
    thread.start()
    return thread


def figures(trials: Sequence[Trial], objectives: Sequence[Objective]) -> dict[str, "Figure"]:
    """Draws what can be drawn of a sweep, at any time of it.

    Args:
        trials: the sweep's trials, in any state and order.
        objectives: what `Trial.values` are, in their order; at least one.

    Returns:
        Figures by file name, detached from pyplot, ready for `savefig`: "optimization_history.png" with two finished
        trials or more; "parallel_coordinate.png" and "slice.png" if a parameter varies among them as well;
        "param_importances.png" if one of these mattered; "learning_curves.png" with any report. With several
        objectives history, importances and slices come once for each, e.g. "slice_val_loss.png", and with two or three
        there is a "pareto_front.png".
    """
    pictures = {}
    finished = sorted((trial for trial in trials if has_result(trial, objectives)), key=lambda trial: trial.number)
    if len(finished) >= 2:
        with _PYPLOT, _quiet_optuna(), _headless_pyplot():
            pictures = _optuna_pictures(finished, objectives)
    if any(points(trial) for trial in trials):
        pictures["learning_curves.png"] = learning_curves(trials, objectives[0])
    return pictures


def _optuna_pictures(finished: Sequence[Trial], objectives: Sequence[Objective]) -> dict[str, "Figure"]:
    from optuna.importance import get_param_importances
    from optuna.visualization import matplotlib as plots

    space = _space(finished)
    varying = list(space)
    pictures = {}
    for index, objective in enumerate(objectives):
        # A study of its own for each objective: only so does Optuna know which direction is the better one.
        values = [trial.values[index] for trial in finished if trial.values]
        single = [replace(trial, values=(value,)) for trial, value in zip(finished, values, strict=True)]
        study, name = _study(single, [objective], space), objective.metric
        end = f"_{name.replace('/', '_')}.png" if len(objectives) > 1 else ".png"
        scale = scale_of(values, objective)

        figure = _draw(plots.plot_optimization_history, study, (6.8, 4.2), target_name=name)
        pictures[f"optimization_history{end}"] = _finish_history(figure, name, scale)
        if varying and any(get_param_importances(study, params=varying, normalize=False).values()):
            size = (6.8, 1.5 + 0.4 * len(varying))
            figure = _draw(plots.plot_param_importances, study, size, params=varying, target_name=name)
            pictures[f"param_importances{end}"] = _finish_importances(figure, name)
        if varying:
            figure = _draw(plots.plot_slice, study, (6.0, 4.0), params=varying, target_name=name)
            pictures[f"slice{end}"] = _finish_slices(figure, name, scale, space)

    study, names = _study(finished, objectives, space), [objective.metric for objective in objectives]
    if varying:
        size = (2.5 + 1.5 * (len(varying) + len(objectives)), 4.8)
        target = {"target_name": names[0]} if len(names) == 1 else {}
        figure = _draw(plots.plot_parallel_coordinate, study, size, params=varying, **target)
        scale = scale_of([trial.values[0] for trial in finished if trial.values], objectives[0])
        pictures["parallel_coordinate.png"] = _finish_parallel(figure, scale if len(names) == 1 else "linear", space)
    if len(objectives) in (2, 3):
        figure = _draw(plots.plot_pareto_front, study, (6.4, 4.8), target_names=names)
        pictures["pareto_front.png"] = _finish_pareto(figure)
    return pictures


@dataclass(frozen=True)
class _Parameter:
    """A swept key, as Optuna is to see it."""

    key: str
    distribution: "BaseDistribution"
    categories: dict[str, str] | None  # what to write for a value's text; None: a number, which stands for itself

    def value(self, trial: Trial) -> Any:
        value = trial.overrides[self.key]
        return value if self.categories is None else self.categories[text(value)]


def _space(trials: Sequence[Trial]) -> dict[str, _Parameter]:
    """Returns what varies among trials, under names that are short and clear, as in `label`."""
    keys = swept_keys(trials)
    parameters = {}
    for name, key in zip(short_names(keys), keys, strict=True):
        values = [trial.overrides[key] for trial in trials if key in trial.overrides]
        if len({text(value) for value in values}) > 1:
            parameters[name] = _parameter(key, values)
    return parameters


def _parameter(key: str, values: Sequence[Any]) -> _Parameter:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if all(isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in values):
        kind = IntDistribution if all(isinstance(value, int) for value in values) else FloatDistribution
        return _Parameter(key, kind(min(values), max(values), log=_spreads_by_factors(values)), None)
    texts = list(dict.fromkeys(map(text, values)))
    # A dollar sign would begin a formula.
    cut = [name if len(name) <= MAX_CATEGORY_LENGTH else name[: MAX_CATEGORY_LENGTH - 1] + "…" for name in texts]
    written = [name.replace("$", r"\$") for name in (cut if len(set(cut)) == len(texts) else texts)]
    return _Parameter(key, CategoricalDistribution(written), dict(zip(texts, written, strict=True)))


def _spreads_by_factors(values: Sequence[float]) -> bool:
    """Returns whether a logarithmic axis suits: a decade or more, its middle nearer to the geometric mean."""
    low, middle, high = min(values), statistics.median_low(sorted(set(values))), max(values)
    return low > 0 and high >= 10 * low and middle - math.sqrt(low) * math.sqrt(high) < (low + high) / 2 - middle


def _study(finished: Sequence[Trial], objectives: Sequence[Objective], space: dict[str, _Parameter]) -> "Study":
    import optuna

    study = optuna.create_study(directions=["maximize" if goal.maximize else "minimize" for goal in objectives])
    study.set_metric_names([objective.metric for objective in objectives])
    by_number = {trial.number: trial for trial in finished}
    for number in range(max(by_number) + 1):
        trial = by_number.get(number)
        if trial is None:
            # Optuna counts what it is given: without these the trials after it would get other numbers.
            study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
            continue
        own = {name: parameter for name, parameter in space.items() if parameter.key in trial.overrides}
        params = {name: parameter.value(trial) for name, parameter in own.items()}
        distributions = {name: parameter.distribution for name, parameter in own.items()}
        study.add_trial(optuna.trial.create_trial(values=trial.values, params=params, distributions=distributions))
    return study


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Optuna's matplotlib plots and metric names are marked as experimental, at every call.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # That a regime of a conditional parameter is small, and the like: known, and no more can be had.
            warnings.filterwarnings("ignore", category=UserWarning, module=r"optuna\.|kerasdl\.sweeps\.pictures")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextmanager
def _headless_pyplot() -> Iterator[None]:
    """Lets pyplot draw without windows and in any thread; afterwards it has the backend again that it had."""
    import matplotlib
    from matplotlib import pyplot

    backend = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    try:
        yield
    finally:
        pyplot.switch_backend(backend)


def _draw(plot: Callable[..., Any], study: "Study", size: tuple[float, float], **options: Any) -> "Figure":
    """Returns one of Optuna's plots, `size` inches wide and high; pyplot keeps neither its style nor its figure."""
    import matplotlib
    from matplotlib import pyplot

    opened = set(pyplot.get_fignums())
    settings: dict[Any, Any] = {"figure.figsize": size, "figure.dpi": DPI, "figure.constrained_layout.use": True}
    try:
        with matplotlib.rc_context(settings):
            plot(study, **options)
        return pyplot.gcf()
    finally:
        for number in set(pyplot.get_fignums()) - opened:
            pyplot.close(number)


def _finish_history(figure: "Figure", name: str, scale: str) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    axes = figure.axes[0]
    tidy(axes, f"{name} of each finished trial")
    axes.set_yscale(scale)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.lines[0].set_drawstyle("steps-post")  # there is nothing between two trials
    # Optuna's legend stands beside the axes and takes a quarter of the width.
    axes.legend(["trial", "best so far"], frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return figure


def _finish_importances(figure: "Figure", name: str) -> "Figure":
    axes = figure.axes[0]
    tidy(axes, f"importance of each parameter for {name}")
    axes.set_xlabel("share of the importance (PED-ANOVA)")
    axes.set_ylabel("")
    axes.set_xlim(right=axes.get_xlim()[1] * 1.05)
    axes.grid(False, axis="y")
    axes.legend().remove()  # it names the one objective
    return figure


def _finish_slices(figure: "Figure", name: str, scale: str, space: dict[str, _Parameter]) -> "Figure":
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
        _count_in_whole_numbers(axes.xaxis, parameter)
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


def _count_in_whole_numbers(axis: "Axis", parameter: _Parameter) -> None:
    """Keeps the axis of seeds, layers and the like free of halves."""
    from matplotlib.ticker import MaxNLocator
    from optuna.distributions import IntDistribution

    if isinstance(parameter.distribution, IntDistribution) and axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _finish_parallel(figure: "Figure", scale: str, space: dict[str, _Parameter]) -> "Figure":
    from matplotlib.colors import LogNorm

    first = figure.axes[0]
    lines = first.collections[0]
    # The better, the darker, as Optuna has it, but never as pale as the paper.
    lines.set_cmap("viridis" if lines.get_cmap().name.endswith("_r") else "viridis_r")
    if scale == "log":
        lines.set_norm(LogNorm(*lines.get_clim()))
    # After the axes of the results and their colours there is one for each parameter.
    names = [tick.get_text() for tick in first.get_xticklabels() if tick.get_text() in space]
    for axes, name in zip(figure.axes[-len(names) :], names, strict=True):
        _count_in_whole_numbers(axes.yaxis, space[name])
    for axes in figure.axes:
        axes.grid(False)
        axes.tick_params(which="both", color="0.3", labelcolor="0.2")
        axes.spines[["left", "right"]].set_color("0.6")
        for tick in axes.get_yticklabels(which="both"):
            tick.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0})
    tidy(first, "parameters and result of each finished trial", pad=16)  # the axes' uppermost numbers stick out
    first.grid(False)
    first.spines[["bottom", "right"]].set_visible(False)
    for tick in first.get_xticklabels():
        tick.set(rotation=20, ha="right", rotation_mode="anchor")
    return figure


def _finish_pareto(figure: "Figure") -> "Figure":
    axes = figure.axes[0]
    tidy(axes, "Pareto front")
    axes.legend(["Pareto front"] if len(axes.collections) == 1 else ["dominated", "Pareto front"], frameon=False)
    return figure
