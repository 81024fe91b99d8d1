import csv
import io
import math
import sys

import pytest
from rich.console import Console

from kerasdl.report import seed_tables
from kerasdl.report.seed_tables import Report, figure, markdown, short_names, text
from kerasdl.report.seeds import compare, tabulate
from kerasdl.tracking.reading import Run

HIGH, LOW = [0.981, 0.985, 0.983], [0.961, 0.969, 0.962]


def make_report(*values_by_row, metric="val_accuracy", pair=None, notes=(), seconds=72.0, name="optimizer"):
    """Returns a report on rows with these values for seeds 0, 1, ...; row i has learning rate 0.1 / 2**i."""
    runs = [
        Run(f"{i}-{seed}", "FINISHED", 0, {f"{name}.learning_rate": f"{0.1 / 2**i}", "seed": f"{seed}"},
            {metric: value}, {})
        for i, values in enumerate(values_by_row)
        for seed, value in enumerate(values)
    ]  # fmt: skip
    table = tabulate(runs, metric, True, lambda run: seconds)
    comparison = compare(table.rows[pair[0] - 1], table.rows[pair[1] - 1], True) if pair else None
    return Report("sweep lr", table, notes, comparison)


def test_text_shows_shares_as_per_cent():
    report = make_report(HIGH, LOW, notes=["An older one."])
    assert [" ".join(line.split()) for line in text(report).splitlines() if line] == [
        "sweep lr: val_accuracy in %, higher is better",
        "# learning_rate n mean ± sd 95 % interval best training",
        "─" * 74,
        "1 0.1 3 98.30 ± 0.20 [97.80, 98.80] 98.50 1 min 12 s",
        "2 0.05 3 96.40 ± 0.44 [95.32, 97.48] 96.90 1 min 12 s",
        "An older one.",
    ]


def test_one_seed_has_no_spread():
    assert "1   1   98.10 ± -               -   98.10          -" in text(make_report([0.981], seconds=None))


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("test_top_5_accuracy", 0.5, "50.00 ± -"),
        ("val_f1", 1.0, "100.00 ± -"),
        ("val_accuracy", 1.5, "1.5000 ± -"),  # not a share, whatever it is called
        ("val_loss", 0.25, "0.2500 ± -"),
        ("val_loss", 0.00012345, "0.0001234 ± -"),
        ("val_loss", 0.0, "0.0000 ± -"),
        ("val_loss", math.nan, "nan ± -"),
        ("perplexity", 12345.5, "12345.5000 ± -"),
    ],
)
def test_numbers_are_written_to_suit_the_metric(metric, value, shown):
    assert f" {shown} " in text(make_report([value], metric=metric))


def test_values_are_shown_short_but_written_whole():
    run = Run("a", "FINISHED", 0, {"optimizer._target_": "keras.optimizers.SGD", "optimizer.rate": "0.00012345678"},
              {"loss": 1.0}, {})  # fmt: skip
    other = Run("b", "FINISHED", 0, {"optimizer._target_": "keras.optimizers.Adam", "optimizer.rate": "0.1"},
                {"loss": 2.0}, {})  # fmt: skip
    report = Report("runs", tabulate([run, other], "loss", False, lambda run: None))
    assert "1   SGD         0.000123457   1" in text(report)
    first = next(csv.DictReader(io.StringIO(seed_tables.csv_text(report.table))))
    assert (first["optimizer._target_"], first["optimizer.rate"]) == ("keras.optimizers.SGD", "0.00012345678")


def test_markdown_is_a_table_with_everything_below():
    lines = markdown(make_report(HIGH, LOW, pair=(1, 2))).splitlines()
    assert lines[0] == "**sweep lr: val_accuracy in %, higher is better**"
    assert lines[2:6] == [
        "| # | learning_rate | n | mean ± sd | 95 % interval | best | training |",
        "| --: | :-- | --: | --: | --: | --: | --: |",
        "| 1 | 0.1 | 3 | 98.30 ± 0.20 | [97.80, 98.80] | 98.50 | 1 min 12 s |",
        "| 2 | 0.05 | 3 | 96.40 ± 0.44 | [95.32, 97.48] | 96.90 | 1 min 12 s |",
    ]
    assert lines[7].startswith("Row 1 against row 2 over the 3 seeds that both have")


def test_brackets_in_a_value_are_no_markup():
    runs = [Run(name, "FINISHED", 0, {"model.activations": name}, {"loss": 1.0}, {}) for name in ("[relu]", "[bold]")]
    shown = text(Report("runs", tabulate(runs, "loss", False, lambda run: None)))
    assert "[relu]" in shown
    assert "[bold]" in shown


def test_a_bar_in_a_value_does_not_split_a_cell():
    runs = [Run(name, "FINISHED", 0, {"model.style": name}, {"loss": 1.0}, {}) for name in ("a|b", "c")]
    assert "| 1 | a\\|b | 1 |" in markdown(Report("runs", tabulate(runs, "loss", False, lambda run: None)))


def test_csv_has_every_digit():
    table = make_report(HIGH, LOW[:1], seconds=1 / 3).table
    first, second = csv.DictReader(io.StringIO(seed_tables.csv_text(table)))
    of = table.rows[0].summary
    assert first == {
        "row": "1", "optimizer.learning_rate": "0.1", "metric": "val_accuracy", "n": "3", "mean": repr(of.mean),
        "std": repr(of.std), "ci95_low": repr(of.interval[0]), "ci95_high": repr(of.interval[1]), "best": "0.985",
        "training_seconds": repr(1 / 3),
    }  # fmt: skip
    assert [second[name] for name in ("n", "mean", "std", "ci95_low", "ci95_high")] == ["1", "0.961", "", "", ""]


def test_a_comparison_is_reported_in_words_and_few_seeds_are_warned_of():
    *_, told, warning = text(make_report(HIGH, LOW, pair=(2, 1))).splitlines()
    assert told == (
        "Row 2 against row 1 over the 3 seeds that both have: mean difference -1.90 ± 0.26 points, 95 % interval "
        "[-2.56, -1.24], p = 0.0064 (paired t-test), row 2 better for 0 of 3."
    )
    assert warning == "Warning: 3 seeds are too few to conclude from. Run at least 5 of each."
    five = [0.90, 0.91, 0.92, 0.93, 0.94], [0.89, 0.91, 0.90, 0.90, 0.90]
    lines = text(make_report(*five, pair=(1, 2))).splitlines()
    assert "row 1 better for 4 of 5, equal for 1." in lines[-1]
    *_, told, warning = text(make_report([0.9], [0.8], pair=(1, 2))).splitlines()
    assert told.endswith(
        "over the one seed that both have: mean difference +10.00 ± - points, row 1 better for 1 of 1."
    )
    assert warning.startswith("Warning: 1 seed is too few to conclude from.")


def test_a_narrow_terminal_loses_nothing():
    file = io.StringIO()
    seed_tables.show(make_report(HIGH, LOW), Console(file=file, width=60))
    shown = file.getvalue()
    assert max(map(len, shown.splitlines())) <= 60
    for part in ("98.30", "0.44", "[95.32", "97.48]", "0.05"):
        assert part in shown


def test_keys_lose_their_groups_where_that_is_unique():
    keys = ["callbacks.stop.mode", "callbacks.stop._target_", "data.name", "model.name", "optimizer._target_"]
    assert short_names(keys) == ["mode", "stop", "data.name", "model.name", "optimizer"]


def drawn_lines(axes, marker):
    return [
        list(line.get_xdata()) for line in axes.get_lines() if line.get_marker() == marker and len(line.get_xdata())
    ]


def test_the_picture_has_a_dot_for_each_seed_and_each_mean():
    report = make_report(HIGH, LOW)
    axes = figure(report).axes[0]
    assert drawn_lines(axes, "o") == [pytest.approx([98.1, 98.5, 98.3]), pytest.approx([96.1, 96.9, 96.2])]
    assert drawn_lines(axes, "D") == [pytest.approx([98.3]), pytest.approx([96.4])]
    [first, second] = drawn_lines(axes, "None")
    assert first == pytest.approx([100 * end for end in report.table.rows[0].summary.interval])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["learning_rate=0.1  #1", "learning_rate=0.05  #2"]
    top, bottom = axes.get_ylim()[1], axes.get_ylim()[0]
    assert top < 0 < 1 < bottom  # the first row is the upper one
    assert axes.get_xlim()[0] < min(second) < max(first) < axes.get_xlim()[1]


def test_an_interval_of_two_seeds_does_not_crush_the_values():
    low, high = figure(make_report([0.90, 0.92], [0.901, 0.921])).axes[0].get_xlim()
    assert 90 - 2.5 < low < 90
    assert 92.1 < high < 92.1 + 2.5


@pytest.mark.parametrize("rows", [[[0.9]], [[math.nan]], [[0.5, 0.5]], [[0.5 + 0.001 * i] * 2 for i in range(45)]])
def test_one_row_or_many_can_be_drawn(rows):
    drawn = figure(make_report(*rows, pair=(2, 1) if len(rows) > 1 else None))
    file = io.BytesIO()
    drawn.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    assert len(drawn.axes[0].get_yticklabels()) == min(len(rows), 40)
    assert ("The best 40 of 45 rows are drawn." in drawn.get_supxlabel()) == (len(rows) == 45)


def test_a_long_label_is_cut():
    axes = figure(make_report([0.9], [0.8], name=f"{'x' * 80}.y")).axes[0]
    assert max(len(label.get_text()) for label in axes.get_yticklabels()) <= 70


def test_pyplot_is_not_involved_here():
    figure(make_report([0.9]))
    assert "matplotlib.pyplot" not in sys.modules or sys.modules["matplotlib.pyplot"].get_fignums() == []
