"""The task's metrics and weights against scikit-learn's."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight

from kerasdl import data
from kerasdl.errors import ConfigError

NAMES = ["accuracy", "top_3_accuracy", "precision", "recall", "f1"]


@pytest.fixture
def task(config, build_task):
    def built(*overrides):
        conf = config(*overrides)
        return build_task(conf, data.load(conf.data, conf.seed, conf.paths.cache_dir))

    return built


def test_metrics_equal_scikit_learns(task):
    classifier = task(f"task.metrics=[{','.join(NAMES)}]")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200)
    logits = rng.normal(size=(200, 10)).astype("float32") + 2 * np.eye(10, dtype="float32")[labels] * (
        labels[:, None] > 3
    )
    loss = tf.constant(1.0)
    sums: dict = {}
    for part in (slice(0, 64), slice(64, 128), slice(128, 200)):
        statistics = classifier._statistics(
            {"label": tf.constant(labels[part])}, tf.constant(logits[part]), loss, training=True
        )
        for name, value in statistics.items():
            sums[name] = sums.get(name, 0) + value.numpy()
    results = classifier.results(sums)
    predicted = logits.argmax(axis=1)
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "top_3_accuracy": metrics.top_k_accuracy_score(labels, logits, k=3),
        "precision": metrics.precision_score(labels, predicted, average="macro", zero_division=0),
        "recall": metrics.recall_score(labels, predicted, average="macro", zero_division=0),
        "f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
    }
    for name, value in expected.items():
        assert results[name] == pytest.approx(value, abs=1e-6), name
    np.testing.assert_array_equal(sums["confusion"], metrics.confusion_matrix(labels, predicted))


def test_a_network_that_gives_nan_is_never_right(task):
    """Labels of class 0, which `argmax` makes of NaN, and which nothing is larger than."""
    classifier = task(f"task.metrics=[{','.join(NAMES)}]")
    labels, logits = tf.zeros([4], tf.int64), tf.fill([4, 10], float("nan"))
    statistics = classifier._statistics({"label": labels}, logits, tf.constant(1.0), training=True)
    results = classifier.results({name: value.numpy() for name, value in statistics.items()})
    assert {name: results[name] for name in NAMES} == dict.fromkeys(NAMES, 0.0)


def test_balanced_class_weights_equal_scikit_learns(task, config):
    classifier = task("task.class_weights=balanced")
    conf = config()
    train = data.load(conf.data, conf.seed, conf.paths.cache_dir).train
    expected = compute_class_weight("balanced", classes=np.arange(10), y=train.column("label"))
    np.testing.assert_allclose(classifier._weights, expected, rtol=1e-6)


def test_weights_and_metrics_that_do_not_fit_the_classes_are_refused(task):
    with pytest.raises(ConfigError, match="task.class_weights must have 10 weights, one per class. Received: 2."):
        task("task.class_weights=[1,2]")
    with pytest.raises(ConfigError, match="top_11_accuracy needs at least 11 classes. The data set has 10."):
        task("task.metrics=[top_11_accuracy]")
