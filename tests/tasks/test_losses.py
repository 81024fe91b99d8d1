"""Sums over a batch: what pads counts nothing, and the parts of a step add up to the whole."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl import data
from kerasdl.tasks import losses

VALUES = tf.constant([1.0, 2.0, 4.0, 8.0])


def batch(**more):
    return {"x": tf.zeros([4, 3]), **more}


def test_without_a_mask_every_example_counts():
    assert float(losses.count(batch())) == 4
    assert float(losses.total(VALUES, batch())) == 15
    assert float(losses.averaged(VALUES, batch())) == 15 / 4


@pytest.mark.parametrize("dtype", [tf.float32, tf.bool, tf.int64])
def test_what_pads_counts_nothing(dtype):
    padded = batch(mask=tf.cast([1, 1, 0, 1], dtype))
    assert float(losses.count(padded)) == 3
    assert losses.count(padded).dtype == tf.float32
    assert float(losses.total(VALUES, padded)) == 11
    assert float(losses.averaged(VALUES, padded)) == pytest.approx(11 / 3)


def test_a_step_of_a_known_size_is_divided_by_it():
    assert float(losses.averaged(VALUES, batch(step_size=tf.constant(10)))) == pytest.approx(1.5)
    both = batch(step_size=tf.constant(10), mask=tf.constant([1, 1, 0, 1]))
    assert float(losses.averaged(VALUES, both)) == pytest.approx(1.1)


def test_a_batch_that_counts_is_the_one_of_its_examples_whichever_feature_comes_first():
    first = {"step_size": tf.constant(8), **batch()}
    assert float(losses.count(first)) == 4


def test_penalties_are_those_of_all_networks_in_float32():
    networks = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_regularizer="l2")]) for _ in range(2)]
    terms = losses.penalties(*networks)
    expected = [0.01 * np.sum(np.square(network.get_weights()[0])) for network in networks]
    np.testing.assert_allclose(terms, expected, rtol=1e-5)
    assert {term.dtype for term in terms} == {tf.float32}


@pytest.fixture
def classifier(config, build_task):
    """A classifier without random layers, and a whole batch of digits."""
    conf = config("model.filters=[4]", "model.kernel_sizes=[3]", "model.kernel_regularizer=l2",
                  "task.class_weights=balanced")  # fmt: skip
    examples = data.load(conf.data, conf.seed, conf.paths.cache_dir)
    return build_task(conf, examples), examples.train.batch(examples.train.epoch(0), 0)


def gradients(task, part):
    """Returns the gradients and statistics of a part of a step."""
    with tf.GradientTape() as tape:
        logits = task.network(task._context.preprocessed(part), training=True)
        loss = task._loss(part, logits, task._weights)
    return tape.gradient(loss, task.network.trainable_weights), task._statistics(part, logits, loss, training=False)


def test_the_gradients_of_a_steps_parts_add_up_to_the_wholes(classifier):
    """As replicas need it; also where the parts differ in size and are padded to a static shape."""
    task, whole = classifier
    size = len(whole["label"])
    expected, statistics = gradients(task, whole)

    def part(begin, end, length):
        padding = length - (end - begin)
        padded = {name: tf.concat([v[begin:end], tf.zeros_like(v[:padding])], 0) for name, v in whole.items()}
        mask = tf.constant([1.0] * (end - begin) + [0.0] * padding)
        return {**padded, "mask": mask, "step_size": tf.constant(float(size))}

    for cut, length in ((size // 2, size // 2), (size - 3, size)):
        (first, one_sum), (second, other_sum) = (
            gradients(task, part(*where, length)) for where in ((0, cut), (cut, size))
        )
        for one, other, both in zip(first, second, expected, strict=True):
            np.testing.assert_allclose(one + other, both, atol=1e-6)
        for name, both in statistics.items():
            np.testing.assert_allclose(one_sum[name] + other_sum[name], both, rtol=1e-5, err_msg=name)


def test_statistics_of_a_padded_batch_are_those_of_its_examples(classifier):
    task, whole = classifier
    plain = {name: values[:20] for name, values in whole.items()}
    padded = {**whole, "mask": tf.cast(tf.range(len(whole["label"])) < 20, tf.float32)}
    _, expected = gradients(task, plain)
    _, found = gradients(task, padded)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    assert found["confusion"].numpy().sum() == found["count"] == 20
