"""Pictures that tasks keep: residuals of a regression, reconstructions of an autoencoder."""

import io

import numpy as np
import pytest

from kerasdl.figures.reconstructions import reconstructions
from kerasdl.figures.residuals import residuals


def test_residuals_are_what_is_true_less_what_is_predicted():
    figure = residuals(np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0]), "price")
    left, right = figure.axes
    assert left.collections[0].get_offsets().tolist() == [[1, 1.5], [2, 2], [4, 3]]
    assert right.collections[0].get_offsets().tolist() == [[1.5, -0.5], [2, 0], [3, 1]]
    assert (left.get_xlabel(), right.get_xlabel()) == ("true price", "predicted price")
    figure.savefig(io.BytesIO())


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("count", [1, 12])
def test_each_image_is_above_its_reconstruction(channels, count):
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 6, channels), np.uint8)
    figure = reconstructions(images, images.astype(np.float32) + 300)  # clipped at white
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 2 * min(count, 10)
    assert np.array_equal(shown[0][..., 0], images[0][..., 0]) or channels == 4
    assert (np.asarray(shown[-1]) == 255).all()
    figure.savefig(io.BytesIO())
