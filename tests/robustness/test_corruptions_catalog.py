"""What all corruptions have in common: shapes, ranges, severities, seeds."""

import numpy as np
import pytest

from kerasdl.robustness.corruptions import COMMON, CORRUPTIONS, MNIST_C, SEVERITIES, corrupt


@pytest.fixture(scope="module")
def digits():
    """300 real images of 8x8, in grey: more than one block of them."""
    from sklearn.datasets import load_digits

    return np.rint(load_digits().images[:300, ..., None] * (255 / 16)).astype(np.uint8)


@pytest.fixture(scope="module")
def photos():
    """Eighty real images of 32x40, in colour."""
    from sklearn.datasets import load_sample_images

    starts = [(row, column) for row in range(0, 100, 10) for column in range(0, 240, 60)]
    images = load_sample_images().images
    return np.stack(
        [image[row : row + 320 : 10, column : column + 400 : 10] for image in images for row, column in starts]
    )


@pytest.fixture(params=["digits", "photos"])
def images(request):
    return request.getfixturevalue(request.param)


def distance(one, other):
    return np.abs(one.astype(float) - other).mean()


def test_the_lists_are_those_of_the_field():
    assert len(COMMON) == 14
    assert set(COMMON) | set(MNIST_C) == set(CORRUPTIONS)
    assert set(MNIST_C) - set(COMMON) == {"stripe", "spatter", "dotted_line", "zigzag", "canny_edges"}


def test_the_mnist_list_is_that_of_tfds():
    mnist_corrupted = pytest.importorskip("tensorflow_datasets.image_classification.mnist_corrupted")
    assert sorted(MNIST_C) == sorted(set(mnist_corrupted._CORRUPTIONS) - {"identity"})


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_is_farther_from_the_clean_images(name, images):
    before = images.copy()
    found = [corrupt(images, name, severity, seed=0) for severity in SEVERITIES]
    assert all(one.dtype == np.uint8 and one.shape == images.shape for one in found)
    distances = [distance(one, images) for one in found]
    assert distances[0] > 0.5
    assert all(one < other for one, other in zip(distances, distances[1:], strict=False)), distances
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_alike_whatever_comes_behind_it(name, digits):
    whole = corrupt(digits, name, 3, seed=0)
    np.testing.assert_array_equal(corrupt(digits[:70], name, 3, seed=0), whole[:70])
    others = digits[:70].copy()
    others[69] = 255 - others[69]
    np.testing.assert_array_equal(corrupt(others, name, 3, seed=0)[:69], whole[:69])


DETERMINISTIC = {"gaussian_blur", "contrast", "brightness", "scale", "stripe", "canny_edges"}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_seed_decides(name, digits):
    one, again, other = (corrupt(digits[:40], name, 2, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.array_equal(one, other) == (name in DETERMINISTIC)


@pytest.mark.parametrize("name", sorted(DETERMINISTIC))
def test_what_is_not_random_depends_on_the_image_alone(name, digits):
    np.testing.assert_array_equal(corrupt(digits[::-1], name, 3, seed=0)[::-1], corrupt(digits, name, 3, seed=0))


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - DETERMINISTIC))
def test_what_is_random_differs_from_image_to_image_and_from_block_to_block(name, digits):
    same = np.repeat(digits[:1], 130, axis=0)
    found = corrupt(same, name, 3, seed=0).reshape(130, -1)
    assert len(np.unique(found[:64], axis=0)) > 1
    assert not np.array_equal(found[:64], found[64:128])


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 5, 3), (28, 28, 1), (61, 224, 3)])
@pytest.mark.parametrize("value", [0, 255])
def test_any_size_and_images_of_one_colour(name, shape, value):
    found = corrupt(np.full((2, *shape), value, np.uint8), name, 5, seed=0)
    assert (found.shape, found.dtype) == ((2, *shape), np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_transparency_moves_with_the_image_and_is_else_left_alone(name):
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 4), dtype=np.uint8)
    found = corrupt(images, name, 3, seed=0)
    moves = name.endswith("_blur") or name in ("rotate", "shear", "scale", "translate")
    assert np.array_equal(found[..., 3], images[..., 3]) != moves
    if not moves:
        np.testing.assert_array_equal(found[..., :3], corrupt(images[..., :3].copy(), name, 3, seed=0))


def test_no_images_give_no_images():
    assert corrupt(np.zeros((0, 8, 8, 1), np.uint8), "fog", 1, seed=0).shape == (0, 8, 8, 1)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 8, 8, 1), np.float32), np.zeros((8, 8, 1), np.uint8), np.zeros((2, 8, 8, 2), np.uint8)]
)
def test_other_arrays_are_refused(images):
    with pytest.raises(ValueError, match=r"images must be uint8 \[n, h, w, 1, 3 or 4\]\. Received: "):
        corrupt(images, "fog", 1, seed=0)


def test_other_severities_are_refused():
    with pytest.raises(ValueError, match=r"severity must be 1, 2, 3, 4 or 5\. Received: 6\."):
        corrupt(np.zeros((1, 8, 8, 1), np.uint8), "fog", 6, seed=0)
