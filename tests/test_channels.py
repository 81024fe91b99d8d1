"""How images are shown, by their number of channels."""

import numpy as np

from kerasdl.channels import opaque


def test_grey_is_three_equal_channels_and_colours_stay():
    grey = np.arange(12, dtype=np.uint8).reshape(2, 3, 2, 1)
    np.testing.assert_array_equal(opaque(grey), np.concatenate([grey] * 3, axis=-1))
    colors = np.random.default_rng(0).random((2, 2, 3))
    np.testing.assert_array_equal(opaque(colors), colors)


def test_what_is_transparent_lies_on_white():
    image = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], np.uint8)
    shown = opaque(image)
    assert (shown.dtype, shown.tolist()) == (np.uint8, [[[10, 20, 30], [255, 255, 255], [204, 224, 244]]])
