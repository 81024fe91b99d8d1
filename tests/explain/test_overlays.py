"""Heat maps on images: what lies where in the drawn pixels, and that every image is enlarged by a whole number."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kerasdl.explain.overlays import AGAINST, FOR, WRONG, Explained, Heat, overlay, sheet, show_heat


def drawn(figure):
    """Returns the figure's pixels, uint8 (height, width, 3)."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return np.asarray(Image.open(content).convert("RGB"))


def explained(image, *heats, wrong=False, name="digit"):
    return Explained(name, image, ("true 3", "predicted 8 (91.0 %)"), wrong, heats)


def painted(image, heat):
    """Returns what `show_heat` paints on an image, a pixel for each of its pixels."""
    height, width = image.shape[:2]
    figure = Figure(figsize=(width, height), dpi=1)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    scale = show_heat(axes, image, heat)
    return drawn(figure), scale


def rgb(color):
    return [int(color[start : start + 2], 16) for start in (1, 3, 5)]


def test_signs_have_their_colours_and_nothing_leaves_the_image_as_it_is():
    image = np.array([[0, 90], [255, 90]], np.uint8)[..., None]
    heat = Heat("occlusion", np.array([[2.0, 0.0], [-2.0, 1.0]]), signed=True)
    pixels, scale = painted(image, heat)
    np.testing.assert_allclose(pixels[0, 0], rgb(FOR), atol=3)
    np.testing.assert_allclose(pixels[1, 0], rgb(AGAINST), atol=3)
    assert pixels[0, 1].tolist() == [90, 90, 90]
    np.testing.assert_allclose(pixels[1, 1], (np.array(rgb(FOR)) + 90) / 2, atol=3)  # half as strong
    assert scale.norm.vmin == -scale.norm.vmax


def test_unsigned_maps_begin_at_nothing_and_keep_the_image_visible():
    image = np.array([[50, 0, 255]], np.uint8)[..., None]
    pixels, scale = painted(image, Heat("saliency", np.array([[0.0, 4.0, 4.0]]), signed=False))
    assert pixels[0, 0].tolist() == [50, 50, 50]
    assert (pixels[0, 2].astype(int) - pixels[0, 1]).min() > 40  # black and white under the strongest are told apart
    assert scale.norm.vmin == 0


def test_a_map_of_nothing_is_the_image():
    image = np.array([[10, 200]], np.uint8)[..., None]
    for signed in (True, False):
        pixels, _ = painted(image, Heat("map", np.zeros((1, 2)), signed=signed))
        assert pixels[0, :, 0].tolist() == [10, 200]


def test_an_empty_map_says_so_and_has_no_scale():
    image = np.full((28, 28, 1), 10, np.uint8)
    empty = Heat("Grad-CAM", np.zeros((28, 28)), False, note="Look elsewhere.", if_empty="nothing positive")
    full = Heat("Grad-CAM", np.eye(28), False, if_empty="nothing positive")
    said = [[text.get_text() for axes in overlay(explained(image, heat), heat).axes for text in axes.texts]
            for heat in (empty, full)]  # fmt: skip
    assert said == [["nothing positive"], []]
    assert [len(overlay(explained(image, heat), heat).axes) for heat in (empty, full)] == [2, 3]


@pytest.mark.parametrize("methods", [1, 2, 4])
def test_nothing_of_a_sheet_or_an_overlay_is_cut_off(methods):
    image = np.zeros((28, 28, 1), np.uint8)
    heats = [Heat(f"method {i}", np.zeros((28, 28)), i % 2 == 1, "a note " * 40, "nothing") for i in range(methods)]
    row = explained(image, *heats)
    for figure in (sheet([row], note="what else is to be known " * 20), overlay(row, heats[0])):
        figure.draw_without_rendering()
        texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
        boxes = [text.get_window_extent() for text in texts]
        assert min(box.x0 for box in boxes) >= 0
        assert min(box.y0 for box in boxes) >= 0
        assert max(box.x1 for box in boxes) <= figure.bbox.width
        assert max(box.y1 for box in boxes) <= figure.bbox.height
        assert "".join(text.get_text() for text in texts).count("…") == 0


def test_a_single_pixel_does_not_pale_the_rest():
    values = np.ones((100, 100))
    values[0, 0] = 1000
    _, scale = painted(np.zeros((100, 100, 1), np.uint8), Heat("map", values, signed=False))
    assert scale.norm.vmax == 1
    lonely = np.zeros((100, 100))
    lonely[0, 0] = 7
    _, scale = painted(np.zeros((100, 100, 1), np.uint8), Heat("map", lonely, signed=True))
    assert scale.norm.vmax == 7  # the percentile alone would hide it


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"as large as the image. Received: \(2, 2\)"):
        painted(np.zeros((4, 4, 1), np.uint8), Heat("map", np.zeros((2, 2)), signed=False))


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (32, 48, 3), (224, 224, 3)])
def test_every_pixel_becomes_a_square(shape):
    """The left panel holds the image, each pixel enlarged by the same whole number."""
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    heat = Heat("saliency", np.random.default_rng(1).random(shape[:2]), signed=False)
    scale = max(1, round(280 / max(shape[:2])))
    pixels = drawn(overlay(explained(image, heat), heat))
    expected = np.repeat(np.repeat(np.broadcast_to(image, (*shape[:2], 3)), scale, axis=0), scale, axis=1)
    height, width = expected.shape[:2]
    top = next(row for row in range(pixels.shape[0]) if np.array_equal(pixels[row, 8 : 8 + width], expected[0]))
    np.testing.assert_array_equal(pixels[top : top + height, 8 : 8 + width], expected)


def test_a_sheet_has_a_row_an_image_and_a_column_a_method():
    image = np.full((8, 8, 1), 77, np.uint8)
    heats = (Heat("Grad-CAM at conv2", np.ones((8, 8)), False), Heat("occlusion", -np.ones((8, 8)), True))
    figure = sheet([explained(image, *heats, name=f"image {number}", wrong=number == 1) for number in range(3)])
    panels = [axes for axes in figure.axes if axes.get_window_extent().height > 100]
    assert len(panels) == 3 * 3
    texts = {text.get_text(): text.get_color() for text in figure.texts}
    assert {"image 0", "image 2", "occlusion", "against the class", "weak"} <= set(texts)
    assert [text.get_color() for text in figure.texts if text.get_text() == "predicted 8 (91.0 %)"] == [
        "black", WRONG, "black",
    ]  # fmt: skip
    one = sheet([explained(image, heats[0])])
    assert "against the class" not in {text.get_text() for text in one.texts}


def test_long_names_do_not_widen_the_sheet_without_end():
    image = np.zeros((8, 8, 1), np.uint8)
    figure = sheet([explained(image, Heat("saliency", np.ones((8, 8)), False), name="n" * 300)])
    assert figure.get_size_inches()[0] < 8
    assert any(text.get_text().endswith("…") for text in figure.texts)


def test_a_dollar_sign_begins_no_formula():
    image, heat = np.zeros((8, 8, 1), np.uint8), Heat("saliency", np.ones((8, 8)), False)
    row = explained(image, heat, name="costs $5 or $6")
    for figure in (overlay(row, heat), sheet([row])):
        assert not any(text.get_parse_math() for text in figure.texts)


def test_the_overlay_says_what_was_given():
    image = np.zeros((8, 8, 1), np.uint8)
    heat = Heat("integrated gradients", np.ones((8, 8)), True, note="sum 1.00")
    texts = {text.get_text() for text in overlay(explained(image, heat), heat).texts}
    assert {"digit", "true 3, predicted 8 (91.0 %)", "integrated gradients", "sum 1.00"} <= texts
