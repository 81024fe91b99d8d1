"""Scores of each class, worked out by hand."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from kerasdl.evaluate.classes import class_scores, csv_text, table, worst
from kerasdl.measures import macro_averages

NAMES = ("cat", "dog", "[bird]", "fish")


# Four cats, one of which is taken for a dog; one dog; birds never come up, one dog too many; no fish anywhere.
COUNTS = np.array([[3, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])


@pytest.fixture(scope="module")
def scores():
    return class_scores(COUNTS, NAMES)


def test_precision_recall_f1_and_support(scores):
    cat, dog, bird, fish = scores
    assert (cat.precision, cat.recall, cat.f1, cat.support) == (1, 0.75, pytest.approx(6 / 7), 4)
    assert (dog.precision, dog.recall, dog.f1, dog.support) == (pytest.approx(1 / 3), 1, 0.5, 1)
    assert (bird.precision, bird.recall, bird.f1, bird.support) == (0, 0, 0, 1)
    assert (fish.precision, fish.recall, fish.f1, fish.support) == (0, 0, 0, 0)


def test_means_count_every_class_once():
    means = macro_averages(COUNTS)
    assert means["recall"] == pytest.approx((0.75 + 1 + 0 + 0) / 4)
    assert means["f1"] == pytest.approx((6 / 7 + 0.5) / 4)


def test_the_worst_are_those_that_have_examples(scores):
    assert [each.name for each in worst(scores, 2)] == ["[bird]", "dog"]
    assert len(worst(scores, 9)) == 3


def test_csv_keeps_every_digit(scores):
    rows = list(csv.DictReader(io.StringIO(csv_text(scores))))
    assert rows[1] == {"class": "dog", "precision": repr(1 / 3), "recall": "1.0", "f1": "0.5", "support": "1"}
    assert [row["class"] for row in rows] == list(NAMES)


def test_the_table_is_in_per_cent_and_names_are_no_markup(scores):
    file = io.StringIO()
    Console(file=file, width=80).print(table(scores, macro_averages(COUNTS)))
    lines = [" ".join(line.split()) for line in file.getvalue().splitlines()]
    assert lines[0] == "class precision recall F1 support"
    assert lines[1] == "cat 100.00 % 75.00 % 85.71 % 4"
    assert lines[3].startswith("[bird] 0.00 %")
    assert lines[-1] == "mean 33.33 % 43.75 % 33.93 % 6"
