"""A network tried on examples: with one whose answers under attack and corruption are known."""

import keras
import numpy as np
import pytest

from kerasdl.attacks import Attack
from kerasdl.robustness.measuring import Examples


@pytest.fixture(scope="module")
def brightness_model():
    """A linear network on 4x4 images: class 1 where the mean is above 100, class 0 where it is below."""
    pixels = keras.Input((4, 4, 1), dtype="float32")
    mean = keras.layers.GlobalAveragePooling2D()(pixels)
    model = keras.Model(pixels, keras.layers.Dense(2)(mean))
    model.layers[-1].set_weights([np.array([[0.0, 1.0]], np.float32), np.array([0.0, -100.0], np.float32)])
    return model


@pytest.fixture
def examples(brightness_model):
    """270 images of even grey, more than two batches: mean 60, 90, 120 in turn, of classes 0, 0, 1."""
    values = np.tile(np.array([60, 90, 120], np.uint8), 90)
    images = np.broadcast_to(values[:, None, None, None], (270, 4, 4, 1)).copy()
    return Examples(brightness_model, images, np.tile([0, 0, 1], 90))


def test_clean_examples_and_the_first_of_each_class(examples):
    assert examples.clean.score.accuracy == 1.0
    np.testing.assert_array_equal(examples.shown, [0, 2])
    np.testing.assert_array_equal(examples.clean.images[:, 0, 0, 0], [60, 120])
    np.testing.assert_array_equal(examples.clean.predicted, [0, 1])


def test_a_network_that_gives_nan_withstands_nothing(brightness_model, examples):
    broken = keras.models.clone_model(brightness_model)
    broken.layers[-1].set_weights([np.full((1, 2), np.nan, np.float32), np.zeros(2, np.float32)])
    network = Examples(broken, examples.images, np.zeros_like(examples.labels))
    assert network.clean.score.correct == 0
    np.testing.assert_array_equal(network.clean.predicted, [-1])
    assert network.attacked(Attack("linf", 0.1, steps=2, restarts=2), 0).score.correct == 0


@pytest.mark.parametrize("attack", [Attack.fgsm("linf", 15 / 255), Attack("linf", 15 / 255, steps=10, restarts=2)])
def test_an_attack_changes_the_answers_that_its_budget_reaches(examples, attack):
    done = []
    outcome = examples.attacked(attack, 0, done.append)
    # 90 comes to 105, which is class 1; 60 and 120 stay on their sides of 100.
    np.testing.assert_array_equal(outcome.correct, np.tile([True, False, True], 90))
    np.testing.assert_allclose(outcome.images[:, 0, 0, 0], [75, 105])
    np.testing.assert_array_equal(outcome.predicted, [0, 1])
    assert done == [100, 100, 70]


def test_what_is_wrong_without_an_attack_stays_wrong():
    """Class 0 means far from 100, class 1 near it: a long step towards 100 overshoots."""
    pixels = keras.Input((4, 4, 1), dtype="float32")
    distance = keras.ops.abs(keras.ops.mean(pixels, axis=(1, 2)) - 100.0)
    model = keras.Model(pixels, keras.ops.concatenate([distance, 0.0 * distance + 20.0], axis=-1))
    examples = Examples(model, np.full((1, 4, 4, 1), 90, np.uint8), np.array([0]))
    assert examples.clean.score.correct == 0
    outcome = examples.attacked(Attack.fgsm("linf", 40 / 255), 0)
    np.testing.assert_allclose(outcome.images, 130)
    assert outcome.predicted == [0]  # as its label says
    assert outcome.score.correct == 0


def test_the_seed_decides_where_an_attack_begins(brightness_model):
    images = np.random.default_rng(0).integers(100, 150, (120, 4, 4, 1), dtype=np.uint8)
    examples = Examples(brightness_model, images, np.zeros(120, np.int64))
    attack = Attack("linf", 0.2, steps=1, step_size=1e-3)
    one, again, other = (examples.attacked(attack, seed).images for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.9
    # A batch has numbers of its own: the first image again, at the beginning of the second one.
    twice = np.concatenate([images[:100], images[:1]])
    shown = Examples(brightness_model, twice, np.array([0] * 100 + [1])).attacked(attack, 1).images
    assert (shown[0] != shown[1]).mean() > 0.9


def test_a_corruption_is_classified_as_it_comes_out(examples):
    # Brightness 1 adds 0.1 of the range, 25.5: 90 becomes 115.5, which is class 1.
    outcome = examples.corrupted("brightness", 1, seed=0)
    np.testing.assert_array_equal(outcome.correct, np.tile([True, False, True], 90))
    assert outcome.score.accuracy == pytest.approx(2 / 3)
    np.testing.assert_allclose(outcome.images[:, 0, 0, 0], [85.5, 145.5], atol=0.51)
