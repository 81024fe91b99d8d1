"""Each corruption against an answer that is known from its definition."""

import numpy as np
import pytest

from kerasdl.robustness.corruptions.blur import gaussian_blur, glass_blur, motion_blur, smoothed
from kerasdl.robustness.corruptions.edges import canny_edges, edges
from kerasdl.robustness.corruptions.geometry import rotate, scale, shear, transformed, translate
from kerasdl.robustness.corruptions.noise_and_light import (
    brightness,
    contrast,
    gaussian_noise,
    impulse_noise,
    shot_noise,
)
from kerasdl.robustness.corruptions.occlusion import occlusion, stripe
from kerasdl.robustness.corruptions.strokes import dotted_line, zigzag
from kerasdl.robustness.corruptions.weather import fog, spatter


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def random_images(rng):
    return rng.random((3, 12, 12, 3), np.float32)


def constant(value, count=20, side=28, channels=1):
    return np.full((count, side, side, channels), value, np.float32)


def dot(row, column, side=28, count=1):
    images = np.zeros((count, side, side, 1), np.float32)
    images[:, row, column] = 1
    return images


def moments(images):
    """Returns the mass of each image, and the mean and variance of its rows and columns: [n], [n, 2], [n, 2]."""
    images = images.sum(axis=3)
    mass = images.sum(axis=(1, 2))
    places = np.stack(np.meshgrid(*map(np.arange, images.shape[1:]), indexing="ij"), axis=-1)
    mean = np.einsum("nhw,hwd->nd", images, places) / mass[:, None]
    square = np.einsum("nhw,hwd->nd", images, places**2) / mass[:, None]
    return mass, mean, square - mean**2


def test_gaussian_noise_has_its_deviation(rng):
    noise = gaussian_noise(constant(0.5), 0.18, rng) - 0.5
    assert noise.mean() == pytest.approx(0, abs=0.005)
    assert noise.std() == pytest.approx(0.18, rel=0.02)


def test_shot_noise_is_a_number_of_photons_with_the_variance_of_a_poisson_law(rng):
    found = shot_noise(constant(0.5), 12, rng)
    np.testing.assert_allclose(found * 12, np.rint(found * 12), atol=1e-5)
    assert found.mean() == pytest.approx(0.5, rel=0.02)
    assert found.var() == pytest.approx(0.5 / 12, rel=0.05)
    assert not shot_noise(constant(0.0), 12, rng).any()


def test_impulse_noise_sets_its_share_to_black_and_white_alike(rng):
    found = impulse_noise(constant(0.5), 0.27, rng)
    assert (found == 0).mean() == pytest.approx(0.135, abs=0.01)
    assert (found == 1).mean() == pytest.approx(0.135, abs=0.01)
    assert (found == 0.5).mean() == pytest.approx(0.73, abs=0.015)


def test_contrast_keeps_the_mean_of_each_channel_and_shrinks_differences(random_images, rng):
    found = contrast(random_images, 0.3, rng)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), random_images.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found.std(axis=(1, 2)), 0.3 * random_images.std(axis=(1, 2)), rtol=1e-4)


def test_brightness_is_that_of_hue_saturation_and_value(random_images, rng):
    from colorsys import hsv_to_rgb, rgb_to_hsv

    random_images[0, 0, 0] = 0
    found = brightness(random_images, 0.3, rng)
    for place in np.ndindex(found.shape[:3]):
        hue, saturation, value = rgb_to_hsv(*map(float, random_images[place]))
        np.testing.assert_allclose(found[place], hsv_to_rgb(hue, saturation, min(value + 0.3, 1)), atol=1e-5)


@pytest.mark.parametrize("sigma", [0.2, 0.6, 2.0])
def test_a_blurred_dot_has_the_variance_of_the_gaussian(sigma):
    mass, mean, variance = moments(smoothed(dot(14, 13), sigma))
    assert mass == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(mean, [[14, 13]], atol=1e-3)
    np.testing.assert_allclose(variance, sigma**2, rtol=0.01)


def test_blur_is_in_shares_of_the_shorter_side(rng):
    image = np.zeros((1, 40, 20, 1), np.float32)
    image[0, 20, 10] = 1
    np.testing.assert_allclose(moments(gaussian_blur(image, 0.1, rng))[2], 4, rtol=0.02)


def test_motion_blur_spreads_a_dot_along_a_line_of_its_length(rng):
    found = motion_blur(dot(14, 14, count=40), 0.3, rng)
    mass, mean, variance = moments(found)
    np.testing.assert_allclose(mass, 1, atol=1e-4)
    np.testing.assert_allclose(mean, 14, atol=1e-3)
    # Of a uniform movement L**2 / 12; linear interpolation between pixels adds at most 1/4 in each direction.
    spread = variance.sum(axis=1) - (0.3 * 28) ** 2 / 12
    assert (spread > -0.05).all()
    assert (spread < 1.3).all()
    assert np.ptp(variance[:, 0]) > 3  # directions differ
    np.testing.assert_allclose(motion_blur(constant(0.7, count=2), 0.3, rng), 0.7, atol=1e-5)


def test_glass_blur_moves_nothing_farther_than_its_reach(rng):
    image = np.zeros((10, 50, 50, 1), np.float32)
    image[:, 20:30, 20:30] = 1
    found = glass_blur(image, 0.1, rng)  # by 5 pixels, and a blur of at most 1 before and behind
    assert not np.array_equal(found, image)
    np.testing.assert_allclose(found[:, :9], 0, atol=1e-3)
    np.testing.assert_allclose(found[:, 41:], 0, atol=1e-3)
    np.testing.assert_allclose(glass_blur(constant(0.7, count=2), 0.1, rng), 0.7, atol=1e-5)


def test_fog_is_the_formula_with_a_layer_between_0_and_1(rng):
    images = np.clip(rng.random((5, 16, 16, 1), np.float32), 0.1, 0.8)
    thickness, brightest = 2.0, images.max(axis=(1, 2, 3), keepdims=True)
    layer = (fog(images, thickness, rng) * (brightest + thickness) / brightest - images) / thickness
    np.testing.assert_allclose(layer.min(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(layer.max(axis=(1, 2, 3)), 1, atol=1e-4)
    assert not fog(constant(0.0), 3.0, rng).any()


def test_fog_is_smooth(rng):
    layer = fog(constant(1.0, side=32), 1.0, rng)
    assert np.abs(np.diff(layer, axis=1)).mean() < 0.5 * layer.std()


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_spatter_covers_about_its_share(share, rng):
    found = spatter(constant(0.0, count=200), share, rng)
    assert (found > 0.4).mean() == pytest.approx(share, rel=0.15)


def test_spatter_is_pale_turquoise_in_colour(rng):
    found = spatter(constant(0.0, channels=3), 0.3, rng)
    red, green, blue = found[found.max(axis=3) > 0.9].T * 255
    np.testing.assert_allclose([red.max(), green.max(), blue.max()], [175, 238, 238], atol=0.5)


@pytest.mark.parametrize("side", [7, 8])
def test_a_quarter_turn_is_exact(side, rng):
    image = rng.random((20, side, side, 1), np.float32)
    found = rotate(image, 90, rng)
    left, right = np.rot90(image, 1, axes=(1, 2)), np.rot90(image, -1, axes=(1, 2))
    to_left = np.isclose(found, left, atol=1e-4).all(axis=(1, 2, 3))
    to_right = np.isclose(found, right, atol=1e-4).all(axis=(1, 2, 3))
    assert (to_left ^ to_right).all()
    assert to_left.any()
    assert to_right.any()


def test_rotation_keeps_mass_and_turns_a_dot_by_its_angle(rng):
    found = rotate(smoothed(dot(14, 21, side=29, count=20), 1.5), 30, rng)
    mass, mean, _ = moments(found)
    np.testing.assert_allclose(mass, 1, atol=1e-3)
    np.testing.assert_allclose(mean[:, 1] - 14, 7 * np.cos(np.pi / 6), atol=0.01)
    np.testing.assert_allclose(np.abs(mean[:, 0] - 14), 7 * np.sin(np.pi / 6), atol=0.01)


def test_shear_moves_rows_by_their_distance_from_the_centre(rng):
    image = np.zeros((20, 29, 29, 1), np.float32)
    image[:, [4, 14, 24], 14] = 1
    found = shear(image, 0.4, rng)
    for row, moved in ((4, 4), (14, 0), (24, 4)):
        columns = found[:, row, :, 0] @ np.arange(29)
        np.testing.assert_allclose(np.abs(columns - 14), moved, atol=1e-4)


def test_scale_shrinks_area_and_distances(rng):
    image = np.zeros((1, 40, 40, 1), np.float32)
    image[:, 10:30, 10:30] = 1
    mass, mean, variance = moments(scale(image, 0.5, rng))
    assert mass == pytest.approx(100, rel=0.02)
    np.testing.assert_allclose(mean, 19.5, atol=1e-4)
    np.testing.assert_allclose(variance, moments(image)[2] / 4, rtol=0.05)


def test_translation_moves_a_dot_by_whole_pixels_both_ways(rng):
    found = translate(dot(10, 20, count=40), 3 / 28, rng)
    places = {(int(row), int(column)) for _, row, column, _ in np.argwhere(found > 0.999)}
    assert places == {(7, 17), (7, 23), (13, 17), (13, 23)}
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), 1, atol=1e-4)


def test_what_comes_in_from_outside_is_black():
    offsets = np.array([[0.0, 3.0]])
    found = transformed(constant(1.0, count=1, side=8), np.eye(2)[None], offsets)
    np.testing.assert_allclose(found[0, :, :, 0].sum(axis=1), 5, atol=1e-5)


@pytest.mark.parametrize("side", [7, 28])
@pytest.mark.parametrize("area", [0.04, 0.25, 1.0])
def test_occlusion_blanks_its_area_to_the_pixel_part(side, area, rng):
    found = occlusion(constant(1.0, side=side), area, rng)
    np.testing.assert_allclose(1 - found.mean(axis=(1, 2, 3)), area, rtol=1e-4)


def test_stripe_inverts_the_left_and_the_right_quarter(rng):
    image = rng.random((2, 4, 28, 1), np.float32)
    found = stripe(image, 0.5, rng)
    np.testing.assert_allclose(found[:, :, :7], 1 - image[:, :, :7], atol=1e-6)
    np.testing.assert_allclose(found[:, :, 7:21], image[:, :, 7:21])
    np.testing.assert_allclose(found[:, :, 21:], 1 - image[:, :, 21:], atol=1e-6)


@pytest.mark.parametrize("draw", [dotted_line, zigzag])
def test_lines_are_white_on_black_and_black_on_white_and_add_up(draw, rng):
    ink = [draw(constant(0.0), lines, rng).mean() for lines in (1, 2, 5)]
    assert 0.005 < ink[0] < ink[1] < ink[2] < 0.6
    assert draw(constant(0.0), 5, rng).max() == pytest.approx(1)
    assert draw(constant(1.0), 5, rng).min() == pytest.approx(0)


def test_dots_are_apart_and_a_zigzag_is_in_one_piece(rng):
    from scipy.ndimage import label

    pieces = [[label(image[..., 0] > 0.5)[1] for image in draw(constant(0.0, side=100), 1, rng)]
              for draw in (dotted_line, zigzag)]  # fmt: skip
    assert min(pieces[0]) >= 4
    assert np.median(pieces[1]) == 1


def test_edges_of_a_square_are_one_pixel_wide_and_where_it_ends():
    image = np.zeros((2, 28, 28), np.float32)
    image[0, 8:20, 8:20] = 1
    found = edges(image)
    assert not found[1].any()  # nor does the neighbour's square leave a trace
    np.testing.assert_array_equal(found[0, 14].sum(), 2)
    columns = np.flatnonzero(found[0, 14])
    assert abs(columns[0] - 7.5) <= 0.5
    assert abs(columns[1] - 19.5) <= 0.5
    assert not found[0, 11:17, 11:17].any()


def test_weak_edges_count_where_they_go_on_from_strong_ones():
    image = np.zeros((1, 28, 28), np.float32)
    image[0, :, 14:] = np.linspace(1, 0.15, 28)[:, None]  # fades below the upper threshold, not the lower one
    alone = np.zeros((1, 28, 28), np.float32)
    alone[0, :14, 14:] = 1
    alone[0, 22:, 4:8] = 0.15  # weak and apart
    assert edges(image)[0, :, 12:16].any(axis=1).all()
    assert not edges(alone)[0, 19:, :11].any()


def test_edges_of_one_image_are_not_carried_on_by_its_neighbours():
    images = np.zeros((3, 28, 28), np.float32)
    images[:, :8, 4:20] = 1
    images[1, 18:, 10:] = 0.15  # weak and apart; at the same place in the other images there is a strong edge
    images[[0, 2], 18:, 10:] = 1
    found = edges(images)
    assert found[0, 14:].any()
    assert not found[1, 14:].any()


def test_canny_edges_are_a_mixture(rng):
    image = np.zeros((1, 28, 28, 3), np.float32)
    image[:, 8:20, 8:20] = 0.5
    np.testing.assert_allclose(
        canny_edges(image, 0.4, rng), 0.6 * image + 0.4 * canny_edges(image, 1.0, rng), atol=1e-6
    )
    assert set(np.unique(canny_edges(image, 1.0, rng))) == {0.0, 1.0}
