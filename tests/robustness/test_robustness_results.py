"""Robustness in numbers, tables and pictures."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from kerasdl.robustness import pictures, tables
from kerasdl.robustness.scores import (
    AttackScore,
    CorruptionScore,
    Robustness,
    Score,
    attacks_csv,
    corruptions_csv,
)


@pytest.fixture
def found():
    """100 examples, of which 90 are right; two budgets, two corruptions at two severities."""
    attacks = [
        AttackScore(name, "linf", epsilon, steps, 1, Score(correct, 100))
        for name, steps, rights in (("fgsm", 1, (70, 30)), ("pgd", 20, (60, 5)))
        for epsilon, correct in zip((0.1, 0.2), rights, strict=True)
    ]
    attacks.append(AttackScore("pgd", "l2", 2.0, 20, 1, Score(40, 100)))
    corruptions = [
        CorruptionScore(name, severity, severity / 10, "share", Score(correct, 100))
        for name, rights in (("fog", (80, 50)), ("gaussian_noise", (90, 60)))
        for severity, correct in zip((1, 3), rights, strict=True)
    ]
    return Robustness("net on 100 examples", Score(90, 100), attacks, corruptions)


def test_the_interval_is_wilsons():
    z, share, n = 1.959963984540054, 0.9, 100
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert Score(90, 100).interval == pytest.approx((centre - half, centre + half))
    low, high = Score(0, 100).interval
    assert low == pytest.approx(0)
    assert high == pytest.approx(z**2 / (n + z**2))


def test_means_and_metrics(found):
    assert found.corruption_means == {"fog": pytest.approx(0.65), "gaussian_noise": pytest.approx(0.75)}
    assert found.severity_means == {1: pytest.approx(0.85), 3: pytest.approx(0.55)}
    assert found.metrics() == {
        "robustness/accuracy": 0.9,
        "robustness/fgsm_linf_0.1": 0.7,
        "robustness/fgsm_linf_0.2": 0.3,
        "robustness/pgd_linf_0.1": 0.6,
        "robustness/pgd_linf_0.2": 0.05,
        "robustness/pgd_l2_2": 0.4,
        "robustness/fog": pytest.approx(0.65),
        "robustness/gaussian_noise": pytest.approx(0.75),
        "robustness/corruption_mean": pytest.approx(0.7),
    }
    assert Robustness("net", Score(1, 2)).metrics() == {"robustness/accuracy": 0.5}


def test_csv_has_the_clean_accuracy_and_a_line_for_each_score(found):
    clean, *rows = csv.DictReader(io.StringIO(attacks_csv(found)))
    assert (clean["attack"], clean["epsilon"], clean["accuracy"]) == ("clean", "0.0", "0.9")
    assert [(row["attack"], row["norm"], float(row["epsilon"]), int(row["correct"])) for row in rows] == [
        ("fgsm", "linf", 0.1, 70),
        ("fgsm", "linf", 0.2, 30),
        ("pgd", "linf", 0.1, 60),
        ("pgd", "linf", 0.2, 5),
        ("pgd", "l2", 2.0, 40),
    ]
    assert float(rows[0]["ci95_low"]) == Score(70, 100).interval[0]
    clean, *rows = csv.DictReader(io.StringIO(corruptions_csv(found)))
    assert clean["corruption"] == "clean"
    assert [(row["corruption"], row["severity"], row["amount"], row["accuracy"]) for row in rows] == [
        ("fog", "1", "0.1", "0.8"),
        ("fog", "3", "0.3", "0.5"),
        ("gaussian_noise", "1", "0.1", "0.9"),
        ("gaussian_noise", "3", "0.3", "0.6"),
    ]


def test_tables_say_the_same(found):
    lines = tables.text(found).splitlines()
    assert lines[0] == "net on 100 examples: accuracy in %, with its 95 % interval (Wilson)"
    assert "clean 90.0 [82.6, 94.5], 90 of 100" in lines
    words = [line.split() for line in lines]
    assert ["L-inf", "budget", "FGSM", "PGD,", "20", "steps,", "1", "restart"] in words
    assert ["0.1", "70.0", "[60.4,", "78.1]", "60.0", "[50.2,", "69.1]"] in words
    assert ["2", "40.0", "[30.9,", "49.8]"] in words
    assert ["fog", "80.0", "50.0", "65.0"] in words
    assert ["mean", "85.0", "55.0", "70.0"] in words
    assert lines[-1] == "95 % intervals: at most ±9.6 points"


def test_tables_of_four_budgets_fit_into_a_terminal_of_80_columns():
    scores = [
        AttackScore(attack, "linf", budget, steps, restarts, Score(870, 1000))
        for attack, steps, restarts in (("fgsm", 1, 1), ("pgd", 20, 2))
        for budget in (0.05, 0.1, 0.2, 0.3)
    ]
    file = io.StringIO()
    tables.show(Robustness("net", Score(989, 1000), scores), Console(file=file, width=80))
    assert "…" not in file.getvalue()
    assert file.getvalue().count("87.0 [84.8, 88.9]") == len(scores)


def test_curves_begin_with_the_clean_accuracy_and_show_every_budget(found):
    figure = pictures.attack_curves(found)
    linf, l2 = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["L-inf", "L2"]
    fgsm, pgd = linf.lines
    np.testing.assert_allclose(fgsm.get_xydata(), [(0, 90), (0.1, 70), (0.2, 30)])
    np.testing.assert_allclose(pgd.get_xydata(), [(0, 90), (0.1, 60), (0.2, 5)])
    np.testing.assert_allclose(l2.lines[0].get_xydata(), [(0, 90), (2, 40)])
    assert linf.get_xlabel() == "largest change of a pixel (black is 0, white is 1)"
    assert [text.get_text() for text in linf.get_legend().get_texts()] == ["FGSM", "PGD, 20 steps, 1 restart"]


def test_the_map_has_a_cell_for_each_score_and_mean(found):
    axes = pictures.corruption_map(found).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[80, 50, 65], [90, 60, 75], [85, 55, 70]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fog", "gaussian noise", "mean"]
    assert [text.get_text() for text in axes.texts][:3] == ["80.0", "50.0", "65.0"]


@pytest.mark.parametrize(("count", "columns"), [(3, 1), (15, 2)])
def test_the_sheet_has_a_row_for_each_treatment_and_wrong_classes_in_red(count, columns):
    images = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)
    strips = [
        pictures.Strip(f"way {number}", 0.5, images + number, ["cat", "dog"], np.array([True, False]))
        for number in range(count)
    ]
    figure = pictures.example_sheet(strips, "net")
    assert len(figure.axes) == count
    assert len({axes.get_position().x0 for axes in figure.axes}) == columns
    drawn = np.asarray(figure.axes[2].images[0].get_array())
    # Eight times as large, framed by a pixel, with a gap behind each.
    np.testing.assert_array_equal(drawn[1:65:8, 1:65:8, 0], images[0, ..., 0] + 2)
    np.testing.assert_array_equal(drawn[1:65:8, 73:137:8, 2], images[1, ..., 0] + 2)
    assert [text.get_text() for text in figure.texts][:5] == ["net", "way 0", "50.0 %", "cat", "dog"]
    wrong = [text for text in figure.texts if text.get_text() == "dog"]
    assert [(text.get_color(), text.get_fontweight()) for text in wrong] == [(pictures.WRONG_COLOR, "bold")] * count


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_are_shrunk_on_the_sheet(channels):
    images = np.full((2, 224, 224, channels), 7, np.uint8)
    strip = pictures.Strip("clean", 1.0, images, ["a", "b"], np.array([True, True]))
    drawn = np.asarray(pictures.example_sheet([strip], "net").axes[0].images[0].get_array())
    assert drawn.shape[0] < 70
    assert (drawn[30, 30] == 7).all()
