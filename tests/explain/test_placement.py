"""Where the cells of a feature map lie: worked out by hand, and found by the pixels that each cell sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.explain.attribution.placement import enlarging
from kerasdl.models.pixels import on_pixels

L = keras.layers


def centres(matrix):
    """Returns the pixel at which each cell counts most, in the middle of several."""
    return [float(np.flatnonzero(np.isclose(column, column.max())).mean()) for column in matrix.T]


def network(layers, side):
    image = keras.Input((side, side, 1))
    x = image
    for layer in layers:
        x = layer(x)
    return keras.Model(image, [L.Flatten()(x), x])


def test_lenet(serving):
    from kerasdl.models import cnn

    rows, columns = enlarging(on_pixels(serving(cnn.build((28, 28, 1), 10)), ["activation2"]))
    np.testing.assert_array_equal(rows, columns)
    assert rows.shape == (28, 4)
    # Valid 5x5, pool 2, valid 5x5, pool 2: centres at 7.5, 11.5, 15.5, 19.5.
    np.testing.assert_allclose(rows[[7, 8]], [[1, 0, 0, 0], [0.875, 0.125, 0, 0]])
    np.testing.assert_allclose(rows[[11, 12]], [[0.125, 0.875, 0, 0], [0, 0.875, 0.125, 0]])
    np.testing.assert_allclose(rows[[0, 27]], [[1, 0, 0, 0], [0, 0, 0, 1]])


CHAINS = {
    "valid": [L.Conv2D(1, 5)],
    "strided": [L.Conv2D(1, 3, strides=2, padding="same")],
    "valid, pooled": [L.Conv2D(1, 4), L.AveragePooling2D(3, 2)],
    "dilated": [L.Conv2D(1, 3, dilation_rate=2), L.ReLU(), L.Conv2D(1, 3, dilation_rate=3, padding="same")],
    "padded, cropped": [L.ZeroPadding2D(((3, 1), (2, 0))), L.Conv2D(1, 3, strides=3), L.Cropping2D(((1, 0), (0, 1)))],
    "depthwise, separable": [L.DepthwiseConv2D(3), L.BatchNormalization(), L.SeparableConv2D(1, 3, strides=2)],
    "even, same": [L.Conv2D(1, 4, padding="same"), L.AveragePooling2D(2, padding="same")],
}


@pytest.mark.parametrize("name", CHAINS)
def test_cells_lie_at_the_centre_of_the_pixels_that_they_see(name):
    model = network(CHAINS[name], 17)
    for weight in model.trainable_weights:
        weight.assign(tf.ones_like(weight))
    pixels = tf.random.stateless_uniform([1, 17, 17, 1], [0, 0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(pixels)
        output = model(pixels)[1]
        cells = output.shape[1]
        middle = range(cells // 3, cells - cells // 3)  # those at the border see less than their window
        values = [tf.reduce_sum(output[0, row, cells // 2]) for row in middle]
    rows, _ = enlarging(model)
    assert rows.shape == (17, cells)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    positions = rows @ np.arange(cells)  # of each pixel, in cells
    for row, value in zip(middle, values, strict=True):
        seen = np.flatnonzero(tape.gradient(value, pixels)[0, :, :, 0].numpy().any(axis=1))
        centre = (seen[0] + seen[-1]) / 2
        assert np.interp(centre, np.arange(17), positions) == pytest.approx(row, abs=1e-6)


def test_cells_that_were_taken_apart_again():
    rows, _ = enlarging(network([L.MaxPooling2D(4), L.UpSampling2D(2)], 8))
    assert centres(rows) == pytest.approx([0, 2.5, 4.5, 7], abs=0.5)  # 0.5, 2.5, 4.5, 6.5, whole pixels only
    np.testing.assert_allclose(rows[[2, 3], 1], 0.75)
    np.testing.assert_allclose(rows[[4, 5], 2], 0.75)


def test_branches_that_agree_are_followed_and_others_stretched():
    image = keras.Input((8, 8, 1))
    x = L.Conv2D(1, 3)(image)
    agreeing = L.Add()([x, L.Conv2D(1, 3, padding="same")(x)])
    rows, _ = enlarging(keras.Model(image, [L.Flatten()(agreeing), agreeing]))
    assert centres(rows) == pytest.approx([0.5, 2, 3, 4, 5, 6.5])  # cells 1 to 6; the outermost go on to the border

    shifted = L.Add()([x, L.Cropping2D(((0, 2), (0, 2)))(image)])
    rows, _ = enlarging(keras.Model(image, [L.Flatten()(shifted), shifted]))
    stretched = tf.image.resize(np.eye(6)[:, :, None, None].astype("float32"), (8, 1)).numpy()[:, :, 0, 0].T
    np.testing.assert_allclose(rows, stretched, atol=1e-6)


def test_behind_a_layer_that_mixes_places_the_map_is_stretched():
    layers = [L.Flatten(), L.Dense(9), L.Reshape((3, 3, 1))]
    rows, columns = enlarging(network(layers, 9))
    stretched = tf.image.resize(np.eye(3)[:, :, None, None].astype("float32"), (9, 1)).numpy()[:, :, 0, 0].T
    np.testing.assert_allclose(rows, stretched, atol=1e-6)
    np.testing.assert_allclose(columns, stretched, atol=1e-6)
