"""Saliency and integrated gradients: linear networks, whose answers are their weights, and sums that must come out."""

import keras
import numpy as np
import pytest

from kerasdl.explain.attribution import baseline_images, integrated_gradients, occlusion, saliency
from kerasdl.explain.attribution.gradients import MOST_DOUBLINGS
from kerasdl.models.pixels import on_pixels

IMAGES = np.random.default_rng(3).integers(0, 256, (3, 3, 4, 2), dtype=np.uint8)
CLASSES = np.array([2, 0, 1])


def test_saliency_of_a_linear_network_is_its_largest_absolute_weight(linear):
    model, weights = linear
    expected = np.abs(weights).max(axis=2).transpose(2, 0, 1)[CLASSES]
    maps = saliency(model)(IMAGES, CLASSES)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["black", "white", "mean"])
def test_integrated_gradients_of_a_linear_network_are_weight_times_difference(linear, kind):
    model, weights = linear
    baselines = baseline_images(IMAGES, kind)
    found = integrated_gradients(model, steps=3)(IMAGES, CLASSES, baselines)
    own = weights[..., CLASSES].transpose(3, 0, 1, 2)
    expected = (own * (IMAGES - baselines)).sum(axis=-1)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.differences, expected.sum(axis=(1, 2)), rtol=1e-4)
    assert found.gaps.max() < 1e-5
    assert found.steps.tolist() == [3, 3, 3]  # exact at once


def test_midpoints_of_a_curve_by_hand(handed_over):
    """One pixel, logit x**2: with two steps to 4 the gradients at 1 and 3 are 2 and 6, whose mean 4 is exact."""
    square = keras.layers.Lambda(keras.ops.square, output_shape=(1, 1, 1), name="square")
    layers = [square, keras.layers.Flatten(name="flatten"), keras.layers.Dense(1, name="logits")]
    model = handed_over(layers, (1, 1, 1))
    model.get_layer("logits").set_weights([np.ones((1, 1)), np.zeros(1)])
    image, black = np.full((1, 1, 1, 1), 4.0), np.zeros((1, 1, 1, 1))
    found = integrated_gradients(on_pixels(model), steps=2)(image, [0], black)
    np.testing.assert_allclose(found.maps, [[[16.0]]])


def test_a_network_with_relus_adds_up(relu_network, images):
    pixels, classes = images
    attribute = integrated_gradients(on_pixels(relu_network("sequential")), steps=64)
    found = attribute(pixels, classes, baseline_images(pixels, "black"))
    assert found.gaps.max() <= 0.01
    sums = found.maps.sum(axis=(1, 2), dtype="float64")
    np.testing.assert_allclose(sums, found.differences, rtol=0.011)
    assert found.maps.min() < 0 < found.maps.max()
    assert f"gap {100 * found.gaps[0]:.2f} % in {found.steps[0]} steps" in found.described()[0]


def test_steps_are_doubled_until_it_adds_up_and_no_further_than_the_bound(relu_network, images):
    pixels, classes = images
    model = on_pixels(relu_network("sequential"))
    black = baseline_images(pixels, "black")
    few = integrated_gradients(model, steps=1, tolerance=1e9)(pixels, classes, black)
    assert few.steps.tolist() == [1] * 5
    assert few.gaps.max() > 0.01
    more = integrated_gradients(model, steps=1, tolerance=0.002)(pixels, classes, black)
    assert more.gaps.max() < few.gaps.max()
    for gap, steps in zip(more.gaps, more.steps, strict=True):
        assert gap <= 0.002 or steps == 2**MOST_DOUBLINGS
    assert more.steps.max() > 1
    never = integrated_gradients(model, steps=1, tolerance=0.0)(pixels[:1], classes[:1], black[:1])
    assert never.steps.tolist() == [2**MOST_DOUBLINGS]


def test_an_image_that_is_its_own_baseline_gets_nothing(relu_network):
    black = np.zeros((1, 10, 12, 1))
    found = integrated_gradients(on_pixels(relu_network("sequential")))(black, [0], black)
    assert not found.maps.any()
    assert found.gaps.tolist() == [0.0]


def test_styles_and_batches(relu_network, images):
    pixels, classes = images
    models = [on_pixels(relu_network(style)) for style in ("sequential", "functional")]
    black = baseline_images(pixels, "black")
    both = [integrated_gradients(model, steps=8, batch_size=3) for model in models]
    found = both[0](pixels, classes, black)
    np.testing.assert_array_equal(found.maps, both[1](pixels, classes, black).maps)
    single = both[0](pixels[3:4], classes[3:4], black[3:4])
    np.testing.assert_allclose(found.maps[3:4], single.maps, rtol=1e-5, atol=1e-5)

    reactions = [saliency(model, batch_size=2) for model in models]
    maps = reactions[0](pixels, classes)
    np.testing.assert_array_equal(maps, reactions[1](pixels, classes))
    np.testing.assert_allclose(maps[3:4], reactions[0](pixels[3:4], classes[3:4]), rtol=1e-4, atol=1e-5)


def test_dropout_is_off(relu_network, images):
    pixels, classes = images
    attribute = saliency(on_pixels(relu_network("sequential")))
    np.testing.assert_array_equal(attribute(pixels, classes), attribute(pixels, classes))


def test_shapes_that_do_not_fit_are_refused(linear):
    with pytest.raises(ValueError, match=r"images must be \(n, 3, 4, 2\) and classes \(n,\)"):
        saliency(linear[0])(IMAGES[..., :1], CLASSES)
    with pytest.raises(ValueError, match="classes"):
        saliency(linear[0])(IMAGES, CLASSES[:2])


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    """A network in a class of its own: to the handed-over model, one layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2, kernel_initializer="ones")

    def call(self, images):
        return 0.5 * self.dense(keras.ops.reshape(images, (-1, 4)))


def test_a_network_in_a_class_of_its_own_is_explained(handed_over):
    model = on_pixels(handed_over([Own(name="own")], (2, 2, 1)))
    image, black = np.full((1, 2, 2, 1), 8.0), np.zeros((1, 2, 2, 1))
    np.testing.assert_allclose(saliency(model)(image, [0]), np.full((1, 2, 2), 0.5))
    np.testing.assert_allclose(integrated_gradients(model)(image, [1], black).maps, np.full((1, 2, 2), 4.0))
    np.testing.assert_allclose(occlusion(model, 1, 1)(image, [1], black), np.full((1, 2, 2), 4.0))
