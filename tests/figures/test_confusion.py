import io

import numpy as np
import pytest

from kerasdl.figures.confusion import confusion_matrix


def test_cells_show_counts_and_colours_show_shares_of_a_row():
    axes, _ = confusion_matrix(np.array([[8, 2], [0, 4]]), ["no", "yes"]).axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0.0, 1.0]])
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "8", (1, 0): "2", (1, 1): "4"}
    assert axes.get_title("left") == "12 of 14 correct"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no", "yes"]
    assert axes.get_ylabel() == "true class"


def test_a_class_without_examples_has_an_empty_row():
    axes, _ = confusion_matrix(np.array([[0, 0], [1, 3]]), ["a", "b"]).axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[0, 0], [0.25, 0.75]])


@pytest.mark.parametrize(("classes", "numbers"), [(1, True), (20, True), (21, False), (200, False)])
def test_numbers_are_left_out_where_they_could_not_be_read(classes, numbers):
    figure = confusion_matrix(np.eye(classes, dtype=int), [f"class {i}" for i in range(classes)])
    assert bool(figure.axes[0].texts) == numbers
    figure.savefig(io.BytesIO())


def test_small_shares_are_seen():
    axes, bar = confusion_matrix(np.array([[99, 1], [0, 100]]), ["no", "yes"]).axes
    image = axes.images[0]
    red, *_ = image.cmap(image.norm(0.01))
    assert red < image.cmap(image.norm(0.0))[0] - 0.05
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "1", "5", "10", "25", "50", "100"]


@pytest.mark.parametrize(("classes", "per_class"), [(2, 12_345_678), (3, 9), (20, 60_000), (47, 9), (100, 9)])
def test_long_names_and_large_counts_leave_room_for_the_matrix(classes, per_class):
    names = [f"a very long name of a flower (${number}$)" for number in range(classes)]
    figure = confusion_matrix(per_class * np.eye(classes, dtype=int), names)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    cell = axes.get_window_extent().width / classes
    assert axes.get_window_extent().width > 0.4 * figure.bbox.width
    assert all(text.get_window_extent().width < cell for text in axes.texts)
    labels = [*axes.get_xticklabels(), *axes.get_yticklabels()]
    assert {label.get_text() for label in labels} == {"a very long name of a f…"}
    boxes = [label.get_window_extent() for label in (*labels, axes.xaxis.label, axes.yaxis.label)]
    assert min(min(box.x0, box.y0) for box in boxes) >= 0


def test_the_classes_are_counted_where_there_is_no_room_for_names():
    axes = confusion_matrix(np.eye(101, dtype=int), [f"class {i}" for i in range(101)]).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class (number)", "true class (number)")


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"Received: \(2, 3\)"):
        confusion_matrix(np.zeros((2, 3), int), ["a", "b"])
