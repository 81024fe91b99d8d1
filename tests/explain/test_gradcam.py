"""Grad-CAM: a map that can be worked out by hand, and what it must not depend on."""

import keras
import numpy as np
import pytest

from kerasdl.errors import UserError
from kerasdl.explain.attribution import gradcam
from kerasdl.models.pixels import on_pixels


def test_a_map_by_hand(handed_over):
    """Two 1x1 filters, +1 and -1 times the pixel; the logit of class 0 is the sum of 3 * map 0 - 2 * map 1."""
    layers = [
        keras.layers.Conv2D(2, 1, name="conv"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(2, name="logits"),
    ]
    model = handed_over(layers, (2, 2, 1))
    model.get_layer("conv").set_weights([np.array([1.0, -1.0]).reshape(1, 1, 1, 2), np.array([0.0, 6.0])])
    heads = np.tile([[3.0, 0.0], [-2.0, 1.0]], (4, 1))  # each cell: its two maps to the two logits
    model.get_layer("logits").set_weights([heads, np.zeros(2)])
    image = np.array([[0, 1], [2, 200]]).reshape(1, 2, 2, 1)
    attribute = gradcam(on_pixels(model, ["conv"]))
    # Class 0: 3 * p - 2 * (6 - p) = 5 * p - 12, less than 0 cut off. Class 1: 6 - p.
    np.testing.assert_allclose(attribute(image, [0]), [[[0, 0], [0, 988]]])
    np.testing.assert_allclose(attribute(image, [1]), [[[6, 5], [4, 0]]])
    assert attribute(image, [1]).dtype == np.float32


def test_weights_are_means_of_gradients(handed_over):
    """Only the last cell counts for the logit, by 8: the mean gradient over the four cells is 2 everywhere."""
    layers = [
        keras.layers.Conv2D(1, 1, name="conv"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(1, name="logits"),
    ]
    model = handed_over(layers, (2, 2, 1))
    model.get_layer("conv").set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    model.get_layer("logits").set_weights([np.array([[0.0], [0.0], [0.0], [8.0]]), np.zeros(1)])
    image = np.array([[1, 2], [3, 4]]).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(gradcam(on_pixels(model, ["conv"]))(image, [0]), [[[2, 4], [6, 8]]])


def test_styles_batches_and_layers(relu_network, images):
    pixels, classes = images
    both = [gradcam(on_pixels(relu_network(style), ["activation2"])) for style in ("sequential", "functional")]
    maps = both[0](pixels, classes)
    assert maps.shape == (5, 10, 12)
    assert maps.min() == 0 < maps.max()
    np.testing.assert_array_equal(maps, both[1](pixels, classes))
    singles = np.concatenate([both[0](pixels[i : i + 1], classes[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(maps, singles, rtol=1e-4, atol=1e-4)

    small = gradcam(on_pixels(relu_network("sequential"), ["activation2"]), batch_size=2)
    np.testing.assert_allclose(small(pixels, classes), maps, rtol=1e-4, atol=1e-4)
    other = gradcam(on_pixels(relu_network("sequential"), ["conv1"]))(pixels, classes)
    assert not np.allclose(other, maps)


def test_no_images_are_refused(relu_network):
    with pytest.raises(ValueError, match=r"n >= 1. Received: \(0, 10, 12, 1\)"):
        gradcam(on_pixels(relu_network("sequential"), ["conv1"]))(np.empty((0, 10, 12, 1)), [])


def test_a_layer_without_maps_is_refused(relu_network):
    with pytest.raises(ValueError, match="must give logits and feature maps"):
        gradcam(on_pixels(relu_network("sequential"), ["dense"]))


def test_a_network_that_cannot_be_differentiated_says_so(handed_over):
    layers = [
        keras.layers.Conv2D(2, 1, name="conv"),
        Steps(name="steps"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(2, name="logits"),
    ]
    model = on_pixels(handed_over(layers, (2, 2, 1)), ["conv"])
    with pytest.raises(UserError, match=r"no gradient leads .* to that layer.*method=occlusion"):
        gradcam(model)(np.zeros((1, 2, 2, 1)), [0])


class Steps(keras.layers.Layer):
    """Whole numbers, through which no gradient passes."""

    def call(self, inputs):
        return keras.ops.cast(keras.ops.cast(inputs, "int32"), "float32")
