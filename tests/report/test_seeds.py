import math

import numpy as np
import pytest
from scipy import stats

from kerasdl.config import compose
from kerasdl.config.identity import deciding
from kerasdl.report.seeds import compare, summarize, tabulate
from kerasdl.tracking.limits import flatten
from kerasdl.tracking.reading import Run

VALUES = [0.91, 0.95, 0.92, 0.97]


def make_run(value, seed=0, *, id="", state="FINISHED", ended=0, metric="val_accuracy", **params):
    configuration = {key.replace("__", "."): str(item) for key, item in params.items()}
    metrics = {} if value is None else {metric: value}
    return Run(id or f"{params}{seed}", state, ended, {**configuration, "seed": str(seed)}, metrics, {})


def tabulated(runs, metric="val_accuracy", maximize=True, seconds=lambda run: None):
    return tabulate(runs, metric, maximize, seconds)


def rows_of(*values_by_row):
    """Returns rows with these values by seed."""
    runs = [
        make_run(value, seed, model__units=units)
        for units, values in enumerate(values_by_row)
        for seed, value in values.items()
    ]
    return sorted(tabulated(runs).rows, key=lambda row: row.configuration.get("model.units", ""))


def test_a_summary_is_that_of_scipy():
    summary = summarize(VALUES)
    assert summary.n == 4
    assert summary.mean == pytest.approx(0.9375)
    assert summary.std == pytest.approx(math.sqrt(sum((value - 0.9375) ** 2 for value in VALUES) / 3))
    expected = stats.ttest_1samp(VALUES, 0).confidence_interval(0.95)
    assert summary.interval == pytest.approx((expected.low, expected.high))


def test_student_s_quantile_for_two_values_is_the_one_in_his_table():
    low, high = summarize([1.0, 3.0]).interval
    assert (low, high) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-3)


def test_one_value_says_nothing_of_its_spread():
    summary = summarize([0.9])
    assert (summary.n, summary.mean, summary.std, summary.interval) == (1, 0.9, None, None)


def test_runs_are_grouped_by_all_that_decides_but_the_seed():
    runs = [make_run(value, seed, optimizer__learning_rate=rate, data__name="mnist", paths__output_dir=f"{seed}{rate}",
                     tracking__run_name=f"{seed}", device=f"cpu{seed}", trainer__steps_per_call=seed,
                     trainer__checkpoint__every=f"{seed}epochs", callbacks__board__log_dir=f"logs/{seed}")
            for rate, values in ((0.1, VALUES), (0.01, [0.99, 0.98]))
            for seed, value in enumerate(values)]  # fmt: skip
    table = tabulated(runs)
    assert table.keys == ["optimizer.learning_rate"]
    assert [row.configuration for row in table.rows] == [{"optimizer.learning_rate": rate} for rate in ("0.01", "0.1")]
    assert [row.number for row in table.rows] == [1, 2]
    assert table.rows[1].values == {str(seed): value for seed, value in enumerate(VALUES)}
    assert table.rows[1].summary == summarize(VALUES)
    assert table.rows[1].best == 0.97
    assert table.left_out == []


def test_the_rule_of_what_decides_is_that_of_the_configuration_hash():
    from omegaconf import OmegaConf

    config = compose(["data=mnist", "callbacks=early_stopping", "trainer.adversarial.epsilon=0.1"])
    whole = flatten(OmegaConf.to_container(config, resolve=True))
    # The kind of the data decides, too; while it is that of all runs of earlier versions, it isn't written down.
    decides = {*flatten(deciding(config)), "data._target_"}
    for key in whole:
        runs = [Run(id, "FINISHED", 0, {**whole, key: id}, {"loss": 1.0}, {}) for id in ("a", "b")]
        table = tabulated(runs, "loss", maximize=False)
        assert len(table.rows) == (2 if key in decides and key != "seed" and "." in key else 1), key


def test_what_is_off_does_not_tell_runs_apart_not_even_from_those_before_there_was_such_a_key():
    off = {"trainer__adversarial__epsilon": "0.0", "trainer__adversarial__steps": "5"}
    runs = [make_run(0.9, 0), make_run(0.8, 1, **off), make_run(0.7, 2, **{**off, "trainer__adversarial__steps": "7"})]
    assert [row.summary.n for row in tabulated(runs).rows] == [3]
    on = make_run(0.6, 0, **{**off, "trainer__adversarial__epsilon": "0.2"})
    assert sorted(row.summary.n for row in tabulated([*runs, on]).rows) == [1, 3]


def test_runs_of_different_source_are_rows_of_their_own():
    runs = [make_run(0.9, seed, model___target_="mine.build", model___source_=source)
            for source in ("0a1b", "2c3d") for seed in (0, 1)]  # fmt: skip
    runs.append(make_run(0.9, 0, model___target_="mine.build"))  # of a version that kept no source
    table = tabulated(runs)
    assert sorted(row.summary.n for row in table.rows) == [1, 2, 2]
    assert table.keys == ["model._source_"]


def test_the_least_comes_first_where_less_is_better():
    runs = [make_run(value, metric="loss", model__units=value) for value in (0.3, math.nan, 0.1, 0.2)]
    table = tabulated(runs, "loss", maximize=False)
    assert [row.configuration["model.units"] for row in table.rows] == ["0.1", "0.2", "0.3", "nan"]
    assert table.rows[0].best == 0.1


def test_equal_means_are_ordered_by_their_configuration_as_numbers():
    runs = [make_run(0.9, model__units=units) for units in (100, 20, 3)]
    assert [row.configuration["model.units"] for row in tabulated(runs).rows] == ["3", "20", "100"]


def test_a_diverged_run_is_not_left_out_of_the_mean():
    row = tabulated([make_run(0.9, 0), make_run(math.nan, 1), make_run(0.8, 2)]).rows[0]
    assert math.isnan(row.summary.mean)
    assert row.best == 0.9


def test_what_is_not_counted_is_said():
    runs = [make_run(0.9, 0), make_run(None, 1)]
    runs += [make_run(0.99, seed, state=state) for seed, state in enumerate(["PRUNED"] * 3 + ["FAILED", "RUNNING"])]
    table = tabulated(runs)
    assert table.rows[0].values == {"0": 0.9}
    assert table.left_out == [
        "3 pruned, 1 failed and 1 running runs are not counted.",
        "1 finished run has no val_accuracy.",
    ]
    assert tabulated([make_run(0.9), make_run(0.9, state="FAILED")]).left_out == ["1 failed run is not counted."]


def test_of_a_repeated_seed_the_run_that_finished_last_counts():
    runs = [
        make_run(0.8, 1, id="b", ended=20),
        make_run(0.7, 1, id="a", ended=10),
        make_run(0.6, 1, id="c", ended=30, state="FAILED"),
        make_run(None, 1, id="d", ended=40),
        make_run(0.9, 2, id="e"),
    ]
    table = tabulated(runs)
    assert table.rows[0].values == {"1": 0.8, "2": 0.9}
    assert "1 run repeats the configuration and seed of another" in table.left_out[2]


def test_a_setting_that_follows_from_another_is_no_column():
    sgd = {"optimizer___target_": "keras.optimizers.SGD", "optimizer__momentum": 0.5}
    adam = {"optimizer___target_": "keras.optimizers.Adam", "optimizer__beta_1": 0.9}
    assert tabulated([make_run(0.9, **sgd), make_run(0.8, **adam)]).keys == ["optimizer._target_"]


def test_rows_that_only_a_missing_setting_tells_apart_show_it():
    table = tabulated([make_run(0.9, model__units=3), make_run(0.8, model__units=3, model__dropout=0.5)])
    assert table.keys == ["model.dropout"]
    assert [row.configuration for row in table.rows] == [{}, {"model.dropout": "0.5"}]


def test_time_is_the_mean_of_the_runs_that_count_and_say_it():
    times = {"a": 10.0, "b": 20.0, "c": None}
    runs = [make_run(0.9, seed, id=id) for seed, id in enumerate(times)] + [make_run(0.9, 5, id="x", state="FAILED")]
    assert tabulated(runs, seconds=lambda run: times[run.id]).rows[0].seconds == 15.0
    assert tabulated(runs).rows[0].seconds is None


def test_rows_are_compared_over_the_seeds_that_both_have():
    one, other = rows_of({0: 0.91, 1: 0.95, 2: 0.92, 3: 0.97, 7: 0.1}, {3: 0.92, 2: 0.93, 1: 0.9, 0: 0.88, 9: 0.99})
    comparison = compare(one, other, maximize=True)
    a, b = np.array([0.91, 0.95, 0.92, 0.97]), np.array([0.88, 0.9, 0.93, 0.92])
    expected = stats.ttest_rel(a, b)
    assert comparison.difference.n == 4
    assert comparison.difference.mean == pytest.approx(np.mean(a - b))
    assert comparison.difference.std == pytest.approx(np.std(a - b, ddof=1))
    assert comparison.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert comparison.difference.interval == pytest.approx((interval.low, interval.high))
    assert (comparison.better, comparison.equal) == (3, 0)
    assert compare(one, other, maximize=False).better == 1


@pytest.mark.parametrize("other", [{0: 0.8, 1: 0.85, 2: 0.9}, {0: 0.9, 1: 0.95, 2: 1.0}])
def test_equal_differences_give_no_p_value(other):
    one, other = rows_of({0: 0.9, 1: 0.95, 2: 1.0}, other)
    assert compare(one, other, maximize=True).p_value is None


def test_one_common_seed_gives_a_difference_and_no_more():
    comparison = compare(*rows_of({0: 0.5, 1: 0.5}, {1: 0.25, 2: 0.5}), maximize=True)
    assert (comparison.difference.mean, comparison.difference.std, comparison.p_value) == (0.25, None, None)


def test_rows_without_a_common_seed_are_not_compared():
    assert compare(*rows_of({0: 0.5}, {1: 0.25}), maximize=True) is None
