"""Occlusion: a network that looks at one pixel, windows at borders, baselines."""

import keras
import numpy as np
import pytest

from kerasdl.explain.attribution import baseline_images, occlusion
from kerasdl.explain.attribution.occlusion import windows
from kerasdl.models.pixels import on_pixels

LOOKED_AT = (2, 3)


@pytest.fixture(scope="module")
def one_pixel(handed_over):
    """A network whose class 1 has a tenth of the pixel at (2, 3) of 5x6 as its logit, and class 0 minus that."""
    layers = [keras.layers.Flatten(name="flatten"), keras.layers.Dense(2, name="logits")]
    model = handed_over(layers, (5, 6, 1))
    weights = np.zeros((5, 6, 2))
    weights[LOOKED_AT] = [-0.1, 0.1]
    model.get_layer("logits").set_weights([weights.reshape(30, 2), np.zeros(2)])
    return on_pixels(model)


IMAGE = np.full((1, 5, 6, 1), 200, np.uint8)


def test_a_window_of_one_pixel_finds_the_pixel(one_pixel):
    expected = np.zeros((1, 5, 6))
    expected[0, 2, 3] = 20.0
    for classes, sign in (([1], 1), ([0], -1)):
        maps = occlusion(one_pixel, window=1, stride=1)(IMAGE, classes, np.zeros_like(IMAGE))
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, sign * expected, atol=1e-5)


def test_a_pixels_value_is_the_mean_over_the_windows_that_hide_it(one_pixel):
    maps = occlusion(one_pixel, window=3, stride=3)(IMAGE, [1], np.zeros_like(IMAGE))[0]
    # Rows 0-2 and 2-4, columns 0-2 and 3-5: row 2 is hidden by two windows of each column, both with the pixel.
    np.testing.assert_allclose(maps[:, :3], 0, atol=1e-5)
    np.testing.assert_allclose(maps[:, 3:], 20, atol=1e-4)
    wide = occlusion(one_pixel, window=5, stride=1)(IMAGE, [1], np.zeros_like(IMAGE))[0]
    np.testing.assert_allclose(wide, 20, atol=1e-4)  # both windows hide it
    uneven = occlusion(one_pixel, window=3, stride=2)(IMAGE, [1], np.zeros_like(IMAGE))[0]
    # Columns 0-2, 2-4, 3-5: column 2 lies in one window without the pixel and in one with it.
    np.testing.assert_allclose(uneven[2], [0, 0, 10, 20, 20, 20], atol=1e-4)


def test_the_baseline_is_what_lies_under_the_window(one_pixel):
    white = occlusion(one_pixel, window=1, stride=1)(IMAGE, [1], baseline_images(IMAGE, "white"))
    assert white[0, 2, 3] == pytest.approx(20 - 25.5, abs=1e-4)
    mean = occlusion(one_pixel, window=1, stride=1)(IMAGE, [1], baseline_images(IMAGE, "mean"))
    np.testing.assert_allclose(mean, 0, atol=1e-4)


def test_styles_and_batches(relu_network, images):
    pixels, classes = images
    black = baseline_images(pixels, "black")
    both = [occlusion(on_pixels(relu_network(style)), 3, 2, batch_size=7) for style in ("sequential", "functional")]
    maps = both[0](pixels, classes, black)
    np.testing.assert_array_equal(maps, both[1](pixels, classes, black))
    single = both[0](pixels[2:3], classes[2:3], black[2:3])
    np.testing.assert_allclose(maps[2:3], single, rtol=1e-4, atol=1e-4)


def test_windows_cover_a_side_up_to_its_border():
    assert windows(28, 0.2, 0.05) == (6, list(range(23)))
    assert windows(10, 4, 3) == (4, [0, 3, 6])
    assert windows(10, 4, 4) == (4, [0, 4, 6])
    assert windows(8, 1.0, 1.0) == (8, [0])


@pytest.mark.parametrize(("window", "stride"), [(9, 1), (2, 3), (0, 1), (0.2, 0.9), (1.5, 1)])
def test_sizes_that_leave_gaps_or_make_no_sense_are_refused(window, stride):
    with pytest.raises(ValueError, match=r"window must be at most|sizes must be"):
        windows(8, window, stride)


def test_baselines():
    image = np.array([[[[0, 10], [100, 30]]]], np.uint8)
    assert baseline_images(image, "black").tolist() == np.zeros((1, 1, 2, 2)).tolist()
    assert baseline_images(image, "white").tolist() == np.full((1, 1, 2, 2), 255.0).tolist()
    assert baseline_images(image, "mean").tolist() == [[[[50.0, 20.0], [50.0, 20.0]]]]
    with pytest.raises(ValueError, match="kind must be one of black, white, mean"):
        baseline_images(image, "grey")
