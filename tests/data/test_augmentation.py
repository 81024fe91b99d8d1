import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from kerasdl.config import schema
from kerasdl.data.augmentation import Augmentation

SEED = tf.constant([7, 3])


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(0).integers(1, 256, (200, 9, 12, 3)), tf.float32)


def augmentation(**keys) -> Augmentation:
    return Augmentation(OmegaConf.structured(schema.Augmentation(**keys)))


def test_with_everything_off_there_is_nothing_to_do(images):
    assert not augmentation()
    np.testing.assert_array_equal(augmentation()(images, SEED), images)


@pytest.mark.parametrize(
    "keys", [{"shift": 0.1}, {"crop": 1}, {"flip": True}, {"rotation": 5}, {"zoom": 0.1}, {"cutout": 2}]
)
def test_the_seed_decides_all(images, keys):
    augment = augmentation(**keys)
    assert augment
    once, again, other = augment(images, SEED), augment(images, SEED), augment(images, tf.constant([7, 4]))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    assert once.shape == images.shape
    assert once.dtype == tf.float32
    np.testing.assert_allclose(tf.function(augment)(images, SEED), once, atol=0.01)


def test_flip_mirrors_about_half_of_the_images(images):
    result = augmentation(flip=True)(images, SEED).numpy()
    mirrored = (result == images.numpy()[:, :, ::-1]).all((1, 2, 3))
    same = (result == images.numpy()).all((1, 2, 3))
    assert (mirrored ^ same).all()
    assert 70 < mirrored.sum() < 130


def moved(image, down, right):
    """Returns the image moved by whole pixels, with zeros where nothing was."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((height, height), (width, width), (0, 0)))
    return padded[height - down : 2 * height - down, width - right : 2 * width - right]


def test_crop_moves_by_whole_pixels_up_to_the_padding(images):
    result = augmentation(crop=2)(images, SEED).numpy()
    moves = []
    for image, source in zip(result, images.numpy(), strict=True):
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if np.array_equal(image, moved(source, down, right))
        ]
        assert len(found) == 1
        moves += found
    assert len(set(moves)) == 25


def test_shift_moves_by_at_most_its_fraction():
    dot = np.zeros((300, 21, 31, 1), np.float32)
    dot[:, 10, 15] = 100
    result = augmentation(shift=0.2)(tf.constant(dot), SEED).numpy()[..., 0]
    mass = result.sum((1, 2))
    np.testing.assert_allclose(mass, 100, rtol=1e-4)
    down = (result.sum(2) @ np.arange(21)) / mass - 10
    right = (result.sum(1) @ np.arange(31)) / mass - 15
    assert 3.5 < np.abs(down).max() <= 0.2 * 21 + 1e-3
    assert 5.5 < np.abs(right).max() <= 0.2 * 31 + 1e-3


def test_rotation_turns_about_the_middle_by_at_most_its_angle():
    dot = np.zeros((300, 41, 41, 1), np.float32)
    dot[:, 20, 35] = 100
    result = augmentation(rotation=30)(tf.constant(dot), SEED).numpy()[..., 0]
    mass = result.sum((1, 2))
    down = (result.sum(2) @ np.arange(41)) / mass - 20
    right = (result.sum(1) @ np.arange(41)) / mass - 20
    angles = np.degrees(np.arctan2(down, right))
    np.testing.assert_allclose(np.hypot(down, right), 15, atol=0.3)
    assert 27 < angles.max() < 30.5
    assert -30.5 < angles.min() < -27


def test_zoom_scales_about_the_middle():
    square = np.zeros((300, 41, 41, 1), np.float32)
    square[:, 10:31, 10:31] = 1
    sides = np.sqrt(augmentation(zoom=0.2)(tf.constant(square), SEED).numpy().sum((1, 2, 3)))
    assert 24.5 < sides.max() < 25.8
    assert 16.2 < sides.min() < 17.5


def test_cutout_blackens_one_square_that_may_lie_partly_outside(images):
    black = (augmentation(cutout=4)(images, SEED).numpy() == 0).all(-1)
    for mask in black:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask.sum() == len(rows) * len(columns)
        assert 2 <= len(rows) <= 4
        assert 2 <= len(columns) <= 4
    assert black.sum((1, 2)).max() == 16
    assert black.sum(0).min() > 0


def test_switching_one_on_leaves_the_others_numbers(images):
    black = lambda **keys: (augmentation(cutout=4, **keys)(images, SEED).numpy() == 0).all(-1)  # noqa: E731
    assert (black(flip=True) == black()).all()


def test_images_of_a_batch_draw_their_own_numbers():
    same = tf.ones([50, 9, 9, 1]) * tf.range(9.0)[None, None, :, None]
    assert len({image.tobytes() for image in augmentation(rotation=20)(same, SEED).numpy()}) > 45
