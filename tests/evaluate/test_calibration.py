"""Calibration on cases with a known answer, and against scikit-learn."""

import io

import numpy as np
import pytest
from sklearn import metrics

from kerasdl.evaluate.calibration import Calibration, brier_scores, calibration, reliability_diagram


def outcomes(share, count):
    """Returns bool [count] of which exactly that share is right."""
    return np.arange(count) < round(share * count)


def test_a_network_that_is_right_as_often_as_it_says_has_no_error():
    confidences = np.repeat([0.3, 0.5, 0.7, 0.9], 1000)
    correct = np.concatenate([outcomes(confidence, 1000) for confidence in (0.3, 0.5, 0.7, 0.9)])
    found = calibration(confidences, correct)
    assert found.expected_error == pytest.approx(0, abs=1e-12)
    assert found.maximum_error == pytest.approx(0, abs=1e-12)


def test_drawn_outcomes_leave_only_the_error_of_sampling():
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0, 1, 200_000)
    assert calibration(confidences, rng.random(200_000) < confidences).expected_error < 0.005


@pytest.mark.parametrize("gap", [0.2, -0.1])
def test_a_constant_gap_is_the_error(gap):
    levels = np.arange(15) / 15 + 1 / 30
    levels = levels[(levels - gap > 0) & (levels - gap < 1)]
    confidences = np.repeat(levels, 3000)
    correct = np.concatenate([outcomes(level - gap, 3000) for level in levels])
    found = calibration(confidences, correct)
    assert found.expected_error == pytest.approx(abs(gap), abs=2e-4)
    assert found.maximum_error == pytest.approx(abs(gap), abs=4e-4)
    assert np.sign(np.nanmean(found.gaps)) == np.sign(gap)  # positive: too sure of itself


def test_bins_are_weighted_by_their_examples():
    confidences = np.array([0.95] * 90 + [0.55] * 10)
    found = calibration(confidences, np.array([True] * 81 + [False] * 9 + [True] * 10), bins=10)
    assert found.expected_error == pytest.approx(0.9 * 0.05 + 0.1 * 0.45)
    assert found.maximum_error == pytest.approx(0.45)


def test_all_in_one_bin():
    found = calibration(np.full(8, 0.99), outcomes(0.75, 8))
    assert list(found.counts) == [0] * 14 + [8]
    assert found.expected_error == found.maximum_error == pytest.approx(0.24)
    assert np.isnan(found.accuracy[:14]).all()


def test_certainty_and_impossibility_have_their_bins():
    found = calibration(np.array([0.0, 1.0, 1.0, 1.0]), np.array([False, True, True, False]))
    assert (found.counts[0], found.counts[-1], found.counts.sum()) == (1, 3, 4)
    assert (found.accuracy[0], found.accuracy[-1]) == (0, pytest.approx(2 / 3))
    assert found.expected_error == pytest.approx(0.75 / 3)


def test_an_edge_belongs_to_the_bin_below():
    assert list(calibration(np.array([0.25, 0.5, 0.500001, 0.75]), np.ones(4, bool), bins=4).counts) == [1, 1, 2, 0]


def test_empty_bins_count_nowhere_and_can_be_drawn():
    found = calibration(np.array([0.1, 0.9]), np.array([False, True]))
    assert np.count_nonzero(found.counts) == 2
    assert found.expected_error == pytest.approx(0.1)
    above, below = reliability_diagram(found).axes
    assert len(above.containers[0]) == len(below.containers[0]) == 2


@pytest.mark.parametrize(
    ("confidences", "correct", "message"),
    [
        ([], [], r"one length >= 1"),
        ([0.5, 0.6], [True], r"Received: \(2,\) and \(1,\)"),
        ([1.01], [True], r"in \[0, 1\]"),
        ([-0.1], [True], r"in \[0, 1\]"),
        ([np.nan], [True], r"in \[0, 1\]"),
    ],
)
def test_what_can_not_be_binned_is_refused(confidences, correct, message):
    with pytest.raises(ValueError, match=message):
        calibration(np.array(confidences), np.array(correct, bool))


def test_brier_scores():
    sure = np.array([[1.0, 0, 0], [1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(brier_scores(sure, np.array([0, 1, 2])), [0, 2, 2 / 3])
    rng = np.random.default_rng(0)
    probability, labels = rng.random(100), rng.integers(0, 2, 100)
    scores = brier_scores(np.stack([1 - probability, probability], axis=1), labels)
    assert scores.mean() / 2 == pytest.approx(metrics.brier_score_loss(labels, probability))


def test_the_diagram_shows_accuracy_the_gap_and_the_examples():
    counts = np.array([0, 4, 96])
    found = Calibration(counts, np.array([np.nan, 0.75, 0.9]), np.array([np.nan, 0.5, 0.95]))
    figure = reliability_diagram(found)
    above, below = figure.axes
    accuracy, gap = above.containers
    assert [bar.get_height() for bar in accuracy] == [0.75, 0.9]
    np.testing.assert_allclose([(bar.get_y(), bar.get_height()) for bar in gap], [(0.75, -0.25), (0.9, 0.05)])
    assert [bar.get_height() for bar in below.containers[0]] == [4, 96]
    np.testing.assert_allclose([bar.get_x() for bar in accuracy], [1 / 3, 2 / 3])
    assert above.get_title("left") == "gap 5.80 % on average (ECE), 25.0 % at most (MCE)"
    assert [text.get_text() for text in below.get_legend().get_texts()] == [
        "mean accuracy 89.40 %",
        "mean confidence 93.20 %",
    ]
    figure.savefig(io.BytesIO())
