"""Predictions, ranks and scores against scikit-learn's, with classes that never come up, ties, and networks of NaN."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from kerasdl.measures import confusion, macro_averages, per_class, predictions, ranks

NAN = np.float32("nan")


def sample(seed, classes=6, present=6, count=200, decimals=None):
    """Labels of the first `present` classes and float32 logits; few `decimals` make ties."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes)).astype(np.float32)
    return rng.integers(0, present, count), logits if decimals is None else np.round(logits, decimals)


SAMPLES = pytest.mark.parametrize(
    ("labels", "logits"),
    [sample(0), sample(1, present=3), sample(2, decimals=0), sample(3, classes=2, present=1), sample(4, count=1)],
    ids=["usual", "classes without examples", "ties", "one class of two", "one example"],
)


@SAMPLES
def test_predictions_and_confusion(labels, logits):
    predicted = predictions(logits).numpy()
    np.testing.assert_array_equal(predicted, logits.argmax(axis=1))
    classes = range(logits.shape[1])
    expected = metrics.confusion_matrix(labels, predicted, labels=classes)
    np.testing.assert_array_equal(confusion(labels, predicted, len(classes)), expected)


@SAMPLES
def test_scores_of_classes_and_their_means_with_nothing_divided_by_zero(labels, logits):
    predicted, classes = logits.argmax(axis=1), range(logits.shape[1])
    counts = confusion(labels, predicted, len(classes), tf.int64).numpy()
    expected = metrics.precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    for own, theirs in zip((*per_class(counts), counts.sum(axis=1)), expected, strict=True):
        np.testing.assert_array_equal(own, theirs)
    means = metrics.precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0, average="macro")
    assert list(macro_averages(counts).values()) == pytest.approx(list(means[:3]), abs=1e-15)


@SAMPLES
def test_top_k(labels, logits):
    found = ranks(labels, logits).numpy()
    for k in range(1, logits.shape[1] + 1):
        np.testing.assert_array_equal(found < k, tf.math.in_top_k(labels, logits, k))
        if len(np.unique(logits)) == logits.size and logits.shape[1] > 2:  # of equal ones scikit-learn takes the last
            expected = metrics.top_k_accuracy_score(labels, logits, k=k, labels=range(logits.shape[1]))
            assert (found < k).mean() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("row", [[NAN] * 3, [NAN, 1, 2], [1, NAN, 0], [5, 1, NAN]])
def test_nan_is_never_right_whichever_class_it_is(row, jit):
    labels, logits = np.arange(3), np.array([row] * 3, np.float32)

    @tf.function(jit_compile=jit)
    def measured(labels, logits):
        predicted = predictions(logits)
        return predicted, ranks(labels, logits), confusion(labels, predicted, 3)

    predicted, found, counts = (value.numpy() for value in measured(labels, logits))
    np.testing.assert_array_equal(predicted, [-1, -1, -1])
    np.testing.assert_array_equal(found, [3, 3, 3])
    assert counts.diagonal().sum() == 0
    np.testing.assert_array_equal(counts.sum(axis=1), [1, 1, 1])


def test_infinity_is_a_number():
    logits = np.array([[np.inf, 0, 1], [-np.inf, 0, 1]], np.float32)
    np.testing.assert_array_equal(predictions(logits), [0, 2])
    np.testing.assert_array_equal(ranks(np.array([0, 0]), logits), [0, 2])
