import io
import logging
import random
import subprocess
import sys
import threading
import time
import warnings

import pytest

from kerasdl.sweeps.pictures.drawing import figures
from kerasdl.sweeps.trials import Objective, State, Trial

ACCURACY, LOSS, SECONDS = Objective("val_accuracy", True), Objective("val_loss", False), Objective("seconds", False)
HISTORY, IMPORTANCES = "optimization_history.png", "param_importances.png"
PARALLEL, SLICE, CURVES = "parallel_coordinate.png", "slice.png", "learning_curves.png"
ALL = {HISTORY, IMPORTANCES, PARALLEL, SLICE, CURVES}


def trial(number, value=None, state=State.FINISHED, reports=(0.1, 0.2), **overrides):
    values = value if value is None or isinstance(value, tuple) else (value,)
    steps = {100 * (index + 1): report for index, report in enumerate(reports)}
    return Trial(number, state, overrides, values=values, reports=steps)


def sweep(count, objectives=1):
    """Trials of which the learning rate decides, some pruned, failed and running."""
    rng = random.Random(count)
    trials = []
    for number in range(count):
        rate = 10 ** rng.uniform(-4, -1)
        value = 0.9 - abs(rate - 0.01) + rng.gauss(0, 1e-3)
        swept = {"rate": rate, "batch": rng.choice([32, 64, 128]), "model": rng.choice(["mlp", "cnn"])}
        if swept["model"] == "cnn":
            swept["filters"] = rng.choice([8, 16])
        state = {3: State.PRUNED, 5: State.FAILED, 6: State.RUNNING}.get(number % 8, State.FINISHED)
        values = (value, 1 - value, rng.random())[:objectives] if state is State.FINISHED else None
        trials.append(trial(number, values, state, (value / 2, value / 1.5, value), **swept))
    return trials


def png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=30)  # small: what counts is that it can be drawn
    return file.getvalue()


def lines(figure):
    """The curves of the learning curves, by the steps and values that they show."""
    return {tuple(map(float, line.get_ydata())): line for line in figure.axes[0].get_lines()}


def test_nothing_is_drawn_of_nothing():
    assert figures([], [ACCURACY]) == {}
    assert figures([trial(0, None, State.WAITING, (), rate=0.1)], [ACCURACY]) == {}


def test_one_finished_trial_has_a_learning_curve_only():
    assert set(figures([trial(0, 0.5, rate=0.1)], [ACCURACY])) == {CURVES}
    assert figures([trial(0, 0.5, reports=(), rate=0.1)], [ACCURACY]) == {}


def test_two_finished_trials_have_all_pictures():
    trials = [trial(0, 0.5, rate=0.1), trial(1, 0.6, rate=0.2), trial(2, None, State.RUNNING, rate=0.2)]
    assert set(figures(trials, [ACCURACY])) == ALL


def test_all_pictures_can_be_saved():
    drawn = figures(sweep(20), [ACCURACY])
    assert set(drawn) == ALL
    assert {png(figure)[:4] for figure in drawn.values()} == {b"\x89PNG"}


def test_the_history_keeps_the_numbers_of_trials_and_the_best_so_far():
    trials = [
        trial(1, 0.5, rate=0.1),
        trial(2, None, State.FAILED, rate=0.1),
        trial(4, 0.7, rate=0.2),
        trial(5, 0.6, rate=0.3),
    ]
    axes = figures(reversed(trials), [ACCURACY])[HISTORY].axes[0]
    assert axes.collections[0].get_offsets().tolist() == [[1, 0.5], [4, 0.7], [5, 0.6]]
    assert [value for value in axes.lines[0].get_ydata() if abs(value) < 1] == [0.5, 0.5, 0.5, 0.7, 0.7]
    lowest = figures(trials, [LOSS])[HISTORY].axes[0].lines[0]
    assert lowest.get_ydata()[-1] == 0.5


def test_the_parameter_that_decides_is_the_most_important():
    axes = figures(sweep(60), [ACCURACY])[IMPORTANCES].axes[0]
    assert axes.get_yticklabels()[-1].get_text() == "rate"
    assert [bar.get_width() for bar in axes.patches][-1] > 0.4


def test_what_does_not_vary_is_no_parameter():
    trials = [Trial(n, State.FINISHED, {"a.rate": 0.1 * n, "b.seed": 7}, values=(n / 10,)) for n in range(4)]
    panels = figures(trials, [ACCURACY])[SLICE].axes
    assert [axes.get_xlabel() for axes in panels[:-1]] == ["rate"]
    assert set(figures([trial(n, n / 10, seed=7) for n in range(4)], [ACCURACY])) == {HISTORY, CURVES}


def test_names_are_short_where_that_is_clear():
    trials = [
        Trial(n, State.FINISHED, {"model.units": n, "head.units": -n, "optimizer.rate": n / 7}, values=(n / 10,))
        for n in range(6)
    ]
    panels = figures(trials, [ACCURACY])[SLICE].axes
    assert {axes.get_xlabel() for axes in panels[:-1]} == {"model.units", "head.units", "rate"}


def test_a_key_may_be_missing_in_some_trials():
    drawn = figures(sweep(20), [ACCURACY])
    (filters,) = [axes for axes in drawn[SLICE].axes if axes.get_xlabel() == "filters"]
    with_filters = [t for t in sweep(20) if t.state is State.FINISHED and "filters" in t.overrides]
    assert len(filters.collections[0].get_offsets()) == len(with_filters)


def test_axes_are_logarithmic_where_values_spread_by_factors():
    trials = [
        Trial(n, State.FINISHED, {"rate": 10.0 ** (-n), "seed": n + 1, "zero": float(n)}, values=(n / 20,))
        for n in range(11)
    ]
    panels = figures(trials, [ACCURACY])[SLICE].axes[:-1]
    scales = {axes.get_xlabel(): axes.get_xscale() for axes in panels}
    assert scales == {"rate": "log", "seed": "linear", "zero": "linear"}


def test_a_loss_that_blew_up_does_not_hide_the_others():
    trials = [trial(n, value, rate=0.1 * n, reports=(value,)) for n, value in enumerate((0.2, 0.3, 1e6))]
    drawn = figures(trials, [LOSS])
    assert {drawn[name].axes[0].get_yscale() for name in (HISTORY, SLICE, CURVES)} == {"log"}
    assert {png(drawn[name])[:4] for name in (PARALLEL, CURVES)} == {b"\x89PNG"}


def test_categories_show_their_text():
    values = [True, None, "cnn", 0.5, "a$b$c", "x" * 40, "x" * 40]
    trials = [trial(number, number / 10, what=value) for number, value in enumerate(values)]
    drawn = figures(trials, [ACCURACY])
    shown = [tick.get_text() for tick in drawn[SLICE].axes[0].get_xticklabels()]
    assert shown == ["true", "null", "cnn", "0.5", r"a\$b\$c", "x" * 17 + "…"]
    assert {png(drawn[name])[:4] for name in (SLICE, PARALLEL)} == {b"\x89PNG"}  # a$b$c is no formula


@pytest.mark.parametrize(("values", "shown"), [((True, False), ["true", "false"]), ((1.0, float("inf")), ["1", "inf"])])
def test_what_has_no_place_on_a_scale_is_a_category(values, shown):
    trials = [trial(number, number / 10, what=value) for number, value in enumerate(values)]
    axes = figures(trials, [ACCURACY])[SLICE].axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == shown


def test_long_categories_are_told_apart():
    trials = [trial(number, number / 10, path="x" * 40 + str(number % 2)) for number in range(4)]
    shown = [tick.get_text() for tick in figures(trials, [ACCURACY])[SLICE].axes[0].get_xticklabels()]
    assert shown == ["x" * 40 + "0", "x" * 40 + "1"]


def test_a_constant_objective_has_no_importances():
    drawn = figures([trial(number, 0.5, rate=0.1 * number) for number in range(12)], [ACCURACY])
    assert set(drawn) == ALL - {IMPORTANCES}
    assert png(drawn[PARALLEL]).startswith(b"\x89PNG")


def test_a_result_that_is_not_finite_is_left_out():
    trials = [trial(0, float("nan"), rate=0.1), trial(1, float("inf"), rate=0.2), trial(2, 0.5, rate=0.3)]
    drawn = figures(trials, [ACCURACY])
    assert set(drawn) == {CURVES}
    assert [line.get_linewidth() for line in drawn[CURVES].axes[0].get_lines()][-1] == 3.0
    assert "best: trial 2" in drawn[CURVES].axes[0].get_lines()[-1].get_label()


@pytest.mark.parametrize("objectives", [(ACCURACY, LOSS), (ACCURACY, LOSS, SECONDS)])
def test_several_objectives_have_pictures_of_their_own_and_a_front(objectives):
    drawn = figures(sweep(20, len(objectives)), objectives)
    own = {
        f"{kind}_{objective.metric}.png"
        for kind in ("optimization_history", "param_importances", "slice")
        for objective in objectives
    }
    assert set(drawn) == own | {PARALLEL, CURVES, "pareto_front.png"}
    assert {png(drawn[name])[:4] for name in (PARALLEL, "pareto_front.png")} == {b"\x89PNG"}


def test_the_front_holds_what_no_other_trial_dominates():
    values = [(0.9, 0.5), (0.8, 0.4), (0.7, 0.6)]
    trials = [trial(number, value, rate=0.1 * number) for number, value in enumerate(values)]
    axes = figures(trials, [ACCURACY, LOSS])["pareto_front.png"].axes[0]
    dominated, front = (sorted(map(tuple, points.get_offsets().tolist())) for points in axes.collections)
    assert (dominated, front) == ([(0.7, 0.6)], [(0.8, 0.4), (0.9, 0.5)])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("val_accuracy", "val_loss")


def test_learning_curves_show_every_trial_that_reported():
    trials = [
        trial(0, 0.3, reports=(0.1, 0.3), rate=0.1),
        trial(1, 0.9, reports=(0.2, 0.9), rate=0.2),
        trial(2, 0.4, State.PRUNED, (0.4,), rate=0.3),
        trial(3, None, State.RUNNING, (0.15, float("nan"), 0.25), rate=0.4),
        trial(4, None, State.WAITING, (), rate=0.5),
    ]
    figure = figures(trials, [ACCURACY])[CURVES]
    curves = lines(figure)
    assert set(curves) == {(0.1, 0.3), (0.2, 0.9), (0.4,), (0.15, 0.25)}
    best, pruned = curves[0.2, 0.9], curves[(0.4,)]
    assert best.get_linewidth() == max(line.get_linewidth() for line in curves.values())
    assert best.get_label() == "best: trial 1, rate=0.2"
    assert (pruned.get_marker(), pruned.get_color()) == ("x", "0.72")
    assert list(curves[0.15, 0.25].get_xdata()) == [100, 300]
    assert figure.axes[1].get_ylabel() == "result (val_accuracy)"
    assert lines(figures(trials, [LOSS])[CURVES])[0.1, 0.3].get_linewidth() == 3.0


def test_a_single_report_is_seen():
    (line,) = figures([trial(0, 0.5, reports=(0.5,))], [ACCURACY])[CURVES].axes[0].get_lines()
    assert line.get_marker() == "o"


def test_pyplot_and_optuna_are_left_as_they_were():
    import matplotlib
    import optuna
    from matplotlib import pyplot

    matplotlib.rcdefaults()
    pyplot.switch_backend("svg")
    mine = pyplot.figure()
    optuna.logging.set_verbosity(logging.INFO)
    try:
        # Optuna sets a style, which would change every later figure of the process.
        settings = dict(matplotlib.rcParams)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn = figures(sweep(20, 2), [ACCURACY, LOSS])
            assert png(drawn[PARALLEL]).startswith(b"\x89PNG")
        assert dict(matplotlib.rcParams) == settings
        assert matplotlib.get_backend().lower() == "svg"
        assert pyplot.get_fignums() == [mine.number]
        assert pyplot.gcf() is mine
        assert optuna.logging.get_verbosity() == logging.INFO
    finally:
        pyplot.close(mine)
        pyplot.switch_backend("agg")


def test_a_plot_that_fails_leaves_no_figure_behind(monkeypatch):
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as plots

    def failing(study, **options):
        pyplot.figure()
        raise RuntimeError("no")

    monkeypatch.setattr(plots, "plot_slice", failing)
    before = pyplot.get_fignums()
    with pytest.raises(RuntimeError, match="no"):
        figures(sweep(20), [ACCURACY])
    assert pyplot.get_fignums() == before


def test_threads_may_draw_at_once():
    drawn = []
    threads = [threading.Thread(target=lambda: drawn.append(figures(sweep(10), [ACCURACY]))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [set(each) for each in drawn] == [ALL] * 2


def test_many_trials_take_seconds():
    trials = sweep(300)
    began = time.monotonic()
    drawn = figures(trials, [ACCURACY])
    assert {png(drawn[name])[:4] for name in (HISTORY, CURVES, PARALLEL)} == {b"\x89PNG"}
    assert time.monotonic() - began < 10


def test_the_module_is_cheap_to_import_and_says_nothing(tmp_path):
    program = (
        "import sys; from kerasdl.sweeps.pictures import drawing; from kerasdl.sweeps.trials import *\n"
        "assert not {'optuna', 'matplotlib'} & set(sys.modules)\n"
        "trials = [Trial(n, State.FINISHED, {'rate': n / 9, 'kind': 'ab'[n % 2]}, values=(n / 7,)) for n in range(9)]\n"
        "print(len(drawing.figures(trials, [Objective('val_loss', False)])))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-W", "always::FutureWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr) == ("4\n", "")


def test_whole_numbers_have_no_halves_and_the_title_is_clear_of_the_axes():
    trials = [trial(seed, 0.1 * seed, seed=seed, rate=10.0**-seed) for seed in range(3)]
    pictures = figures(trials, [ACCURACY])
    parallel, slices = pictures[PARALLEL], pictures[SLICE]
    for figure in (parallel, slices):
        figure.draw_without_rendering()
    first, *others = parallel.axes
    ticks = [tick for axes in others if axes.get_ylim() == (0, 2) for tick in axes.get_yticks()]
    ticks += [tick for axes in slices.axes if axes.get_xlabel() == "seed" for tick in axes.get_xticks()]
    assert {0, 1, 2} <= set(ticks)
    assert all(float(tick).is_integer() for tick in ticks)
    numbers = [
        label
        for axes in others
        for label in axes.get_yticklabels()
        if axes.get_ylim()[0] <= label.get_position()[1] <= axes.get_ylim()[1]
    ]
    assert numbers
    title = first.get_title("left")
    assert title == "parameters and result of each finished trial"
    lowest = first._left_title.get_window_extent().y0
    assert all(label.get_window_extent().y1 <= lowest for label in numbers)
