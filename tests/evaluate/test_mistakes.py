"""The most confident mistakes: which are kept, and how they are shown."""

import io

import numpy as np
import pytest

from kerasdl.channels import opaque
from kerasdl.evaluate.mistakes import MostConfidentMistakes, contact_sheet


def batches(size, batch, shape=(8, 8, 1), seed=0):
    """Returns batches of (images, indices, labels, predicted, confidences); each image holds its index."""
    rng = np.random.default_rng(seed)
    indices = np.arange(size)
    images = np.broadcast_to(indices.astype(np.uint8).reshape(-1, 1, 1, 1), (size, *shape))
    columns = images, indices, rng.integers(0, 4, size), rng.integers(0, 4, size), rng.random(size).round(1)
    return [tuple(column[at : at + batch] for column in columns) for at in range(0, size, batch)]


@pytest.mark.parametrize("batch", [1, 7, 200])
def test_the_most_confident_mistakes_are_kept_however_the_split_is_cut(batch):
    search = MostConfidentMistakes(count=10)
    for columns in reversed(batches(200, batch)):
        search.add(*columns)
    _, indices, labels, predicted, confidences = batches(200, 200)[0]
    wrong = [i for i in indices if labels[i] != predicted[i]]
    expected = sorted(wrong, key=lambda i: (-confidences[i], i))[:10]
    assert [each.index for each in search.found] == expected
    assert search.total == len(wrong)
    for each in search.found:
        assert (each.label, each.predicted) == (labels[each.index], predicted[each.index])
        assert (each.image == each.index).all()


def test_a_kept_image_does_not_hold_its_batch():
    search = MostConfidentMistakes()
    for columns in batches(200, 50):
        search.add(*columns)
    assert len(search.found) == 36
    assert all(each.image.base is None for each in search.found)


def test_right_predictions_are_no_mistakes():
    search = MostConfidentMistakes()
    images, indices, labels, _, confidences = batches(20, 20)[0]
    search.add(images, indices, labels, labels, confidences)
    assert (search.found, search.total) == ([], 0)
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet(search.found, search.total, "abcd")


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (224, 160, 3), (8, 8, 4), (16, 64, 1)])
def test_a_sheet_shows_each_mistake_with_both_classes(shape):
    search = MostConfidentMistakes(count=8)
    for columns in batches(40, 40, shape):
        search.add(*columns)
    names = ["cat", "dog", "costs $5 or $6", "a name that is much too long"]
    figure = contact_sheet(search.found, search.total, names)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == len(figure.axes) == 8
    for axes, each in zip(shown, search.found, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), opaque(each.image))
        predicted, true = (text.get_text() for text in axes.texts)
        assert predicted.endswith(f"{100 * each.confidence:.1f} %")
        assert predicted.startswith(names[each.predicted][:11])
        assert true.removeprefix("true ").startswith(names[each.label][:11])
        assert max(len(true), len(predicted)) <= 21
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in shown]
    for box, right, below in zip(boxes[:2], boxes[1:3], boxes[6:], strict=True):
        assert box.x1 <= right.x0  # the labels of one image are clear of those of the next
        assert box.y0 >= below.y1
    assert max(box.x1 for box in boxes) <= figure.bbox.width
    predicted, true = (text.get_window_extent() for text in shown[0].texts)
    assert predicted.y0 >= true.y1 - 3
    assert figure.get_suptitle().startswith(f"the most confident of {search.total} mistakes")
    figure.savefig(io.BytesIO())
