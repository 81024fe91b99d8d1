"""Where an attack begins and moves: uniformly in its ball, and steepest."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from kerasdl.attacks.balls import NORMS, EuclideanBall, MaxBall

SEED = tf.constant([3, 4])
SHAPE = tf.constant([4000, 2, 2, 1])


def lengths(change):
    return np.linalg.norm(np.reshape(change, (len(change), -1)), axis=1)


def test_the_euclidean_ball_is_filled_uniformly():
    """Uniform in d dimensions: (distance / radius) ** d is uniform in [0, 1], and no direction is preferred."""
    points = EuclideanBall(7.0).random(SHAPE, SEED).numpy()
    assert scipy.stats.kstest((lengths(points) / 7) ** 4, "uniform").pvalue > 0.01
    assert np.abs(points.mean(axis=0)).max() < 5 * points.std() / np.sqrt(len(points))


def test_the_max_ball_is_filled_uniformly():
    points = MaxBall(7.0).random(SHAPE, SEED).numpy()
    assert scipy.stats.kstest(points.ravel() / 14 + 0.5, "uniform").pvalue > 0.01


@pytest.mark.parametrize("norm", NORMS)
def test_a_projection_is_the_nearest_point_of_the_ball(norm):
    ball, order = NORMS[norm](5.0), {"linf": np.inf, "l2": 2}[norm]
    changes = np.random.default_rng(0).normal(0, 4, (200, 2, 2, 1)).astype("float32")
    projected = ball.project(changes).numpy()
    inside = np.linalg.norm(changes.reshape(200, -1), order, axis=1) <= 5
    assert 20 < inside.sum() < 180
    np.testing.assert_allclose(projected[inside], changes[inside], rtol=1e-6)
    assert np.linalg.norm(projected.reshape(200, -1), order, axis=1).max() <= 5 + 1e-5
    others = ball.random(SHAPE, SEED).numpy()
    for change, nearest in zip(changes, projected, strict=True):
        assert lengths(others - change).min() >= lengths((nearest - change)[None]) - 1e-5


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_steepest_direction_has_length_one_however_small_the_gradient(norm, scale):
    gradient = np.array([3, -4, 0, 0], "float32").reshape(1, 2, 2, 1) * np.float32(scale)
    expected = {"linf": [1, -1, 0, 0], "l2": [0.6, -0.8, 0, 0]}[norm]
    np.testing.assert_allclose(NORMS[norm](1.0).ascent(gradient).numpy().ravel(), expected, rtol=1e-6)
    np.testing.assert_array_equal(NORMS[norm](1.0).ascent(tf.zeros([1, 2, 2, 1])), 0)
