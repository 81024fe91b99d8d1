"""Filters and feature maps as pictures: which are drawn, on which scale, and what is said of the rest."""

import numpy as np
import pytest
from matplotlib import colormaps

from kerasdl.explain.features import MOST_COLUMNS, MOST_FILTERS, MOST_MAPS, MOST_ROWS, feature_maps, filters


def cells(grid, height, width, scale, gap=4):
    """Returns the pictures of a mosaic, not enlarged: (rows, columns, height, width, 3)."""
    tall, wide = height * scale + gap, width * scale + gap
    rows, columns = (grid.shape[0] + gap) // tall, (grid.shape[1] + gap) // wide
    found = np.empty((rows, columns, height, width, 3))
    for row in range(rows):
        for column in range(columns):
            cell = grid[row * tall :, column * wide :][: height * scale, : width * scale]
            found[row, column] = cell[::scale, ::scale]
            np.testing.assert_array_equal(
                cell, np.kron(found[row, column], np.ones((scale, scale, 1))).astype("float32")
            )
    return found


def grid_of(figure):
    """Returns what is shown in the last panel."""
    return np.asarray(figure.axes[-1].images[0].get_array())


def levels(values, limit):
    return 0.5 + values / (2 * limit)


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_filters_of_grey_images_are_one_picture_each():
    kernel = np.random.default_rng(0).normal(size=(5, 4, 1, 10))
    figure = filters(kernel, "conv1")
    shown = cells(grid_of(figure), 5, 4, 11).reshape(-1, 5, 4, 3)
    assert len(shown) == 10
    limit = np.abs(kernel).max()
    for number, picture in enumerate(shown):
        for channel in range(3):
            np.testing.assert_allclose(picture[..., channel], levels(kernel[:, :, 0, number], limit), atol=1e-6)
    assert texts(figure)[:2] == ["conv1", "10 filters of 5x4"]


def test_filters_of_colour_images_are_in_colour():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8))
    shown = cells(grid_of(filters(kernel, "conv1", colored=True)), 3, 3, 19).reshape(-1, 3, 3, 3)
    assert len(shown) == 8
    np.testing.assert_allclose(shown[2], levels(kernel[..., 2], np.abs(kernel).max()), atol=1e-6)
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert cells(grid_of(filters(kernel, "conv2")), 3, 3, 9).shape[:2] == (8, 3)  # three channels that are no colours


def test_deeper_filters_are_rows_of_channels():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 6, 5))
    shown = cells(grid_of(filters(kernel, "conv2")), 3, 3, 9)
    assert shown.shape[:2] == (5, 6)
    np.testing.assert_allclose(shown[2, 4, ..., 0], levels(kernel[:, :, 4, 2], np.abs(kernel).max()), atol=1e-6)


def test_what_is_left_out_is_said():
    many = filters(np.zeros((3, 3, 1, 100)), "conv1")
    assert cells(grid_of(many), 3, 3, 19).shape[:2] == (MOST_FILTERS // 8, 8)
    assert f"the first {MOST_FILTERS} of 100 filters of 3x3" in texts(many)
    deep = filters(np.zeros((1, 1, 40, 50)), "conv2")
    assert f"the first {MOST_ROWS} of 50 filters of 1x1" in texts(deep)
    assert f"a row each, the first {MOST_COLUMNS} of 40 input channels across" in texts(deep)


@pytest.mark.parametrize("count", [1, 4, 10, 20, 64, 70])
def test_feature_maps_stand_beside_their_image_on_one_scale(count):
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    maps = np.random.default_rng(1).normal(size=(6, 8, count))
    figure = feature_maps(image, maps, "conv1", ["digit, predicted 3"])
    beside = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(beside[::11, ::11], image / 255, atol=1e-6)
    shown = cells(grid_of(figure), 6, 8, 10)
    drawn = min(count, MOST_MAPS)
    columns = shown.shape[1]
    for number in (0, drawn - 1):
        level = (maps[..., number] - maps.min()) / np.ptp(maps)
        expected = colormaps["viridis"](level)[..., :3]
        np.testing.assert_allclose(shown[number // columns, number % columns], expected, atol=1e-6)
    assert shown.shape[0] == -(-drawn // columns)
    assert {"conv1", "digit, predicted 3"} <= set(texts(figure))
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
