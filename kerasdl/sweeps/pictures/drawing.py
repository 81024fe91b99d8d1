"""Draws the pictures of a sweep: how the search went, which parameters mattered, and how each trial learned.

All but the learning curves are Optuna's own plots, of a study in memory that is rebuilt from the trials, so that they
look the same whether Optuna or a grid chose the configurations. A picture that would be empty isn't drawn.

Optuna draws with pyplot, whose state belongs to the process. Everything that it touches (backend, style, open figures,
warnings, log level) is restored before the figures are returned; a lock keeps two threads from doing so at once.
"""

import importlib
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kerasdl.sweeps.pictures import style
from kerasdl.sweeps.pictures.learning_curves import has_result, learning_curves, points, scale_of
from kerasdl.sweeps.pictures.parameters import study_of, varying_parameters
from kerasdl.sweeps.trials import Objective, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna.study import Study

_PYPLOT = threading.Lock()


def prepare() -> threading.Thread:
    """Begins to import what pictures will need, which takes 2 s, while a sweep waits for its first trials.

    Returns:
        The thread, to be joined before the program ends: some modules can't be imported while it is ending.
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
    """Draws what can be drawn of a sweep, which may still be running.

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

    space = varying_parameters(finished)
    varying = list(space)
    pictures = {}
    for index, objective in enumerate(objectives):
        # A study of its own for each objective: otherwise Optuna doesn't know which direction is better.
        values = [trial.values[index] for trial in finished if trial.values]
        single = [replace(trial, values=(value,)) for trial, value in zip(finished, values, strict=True)]
        study, name = study_of(single, [objective], space), objective.metric
        end = f"_{name.replace('/', '_')}.png" if len(objectives) > 1 else ".png"
        scale = scale_of(values, objective)

        figure = _draw(plots.plot_optimization_history, study, (6.8, 4.2), target_name=name)
        pictures[f"optimization_history{end}"] = style.finish_history(figure, name, scale)
        if varying and any(get_param_importances(study, params=varying, normalize=False).values()):
            size = (6.8, 1.5 + 0.4 * len(varying))
            figure = _draw(plots.plot_param_importances, study, size, params=varying, target_name=name)
            pictures[f"param_importances{end}"] = style.finish_importances(figure, name)
        if varying:
            figure = _draw(plots.plot_slice, study, (6.0, 4.0), params=varying, target_name=name)
            pictures[f"slice{end}"] = style.finish_slices(figure, name, scale, space)

    study, names = study_of(finished, objectives, space), [objective.metric for objective in objectives]
    if varying:
        size = (2.5 + 1.5 * (len(varying) + len(objectives)), 4.8)
        target = {"target_name": names[0]} if len(names) == 1 else {}
        figure = _draw(plots.plot_parallel_coordinate, study, size, params=varying, **target)
        scale = scale_of([trial.values[0] for trial in finished if trial.values], objectives[0])
        pictures["parallel_coordinate.png"] = style.finish_parallel(
            figure, scale if len(names) == 1 else "linear", space
        )
    if len(objectives) in (2, 3):
        figure = _draw(plots.plot_pareto_front, study, (6.4, 4.8), target_names=names)
        pictures["pareto_front.png"] = style.finish_pareto(figure)
    return pictures


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Optuna warns at every call that its matplotlib plots and metric names are experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # That there are few values of a conditional parameter, and the like: true, and nothing can be done.
            warnings.filterwarnings("ignore", category=UserWarning, module=r"optuna\.|kerasdl\.sweeps\.pictures\.")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextmanager
def _headless_pyplot() -> Iterator[None]:
    """Lets pyplot draw without windows and in any thread; restores its backend afterwards."""
    import matplotlib
    from matplotlib import pyplot

    backend = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    try:
        yield
    finally:
        pyplot.switch_backend(backend)


def _draw(plot: Callable[..., Any], study: "Study", size: tuple[float, float], **options: Any) -> "Figure":
    """Returns one of Optuna's plots, `size` inches wide and high; leaves neither its style nor its figure in pyplot."""
    import matplotlib
    from matplotlib import pyplot

    opened = set(pyplot.get_fignums())
    settings: dict[Any, Any] = {"figure.figsize": size, "figure.dpi": style.DPI, "figure.constrained_layout.use": True}
    try:
        with matplotlib.rc_context(settings):
            plot(study, **options)
        return pyplot.gcf()
    finally:
        for number in set(pyplot.get_fignums()) - opened:
            pyplot.close(number)
