import io

import numpy as np
import pytest

from kerasdl.analysis.confusion import confusion_matrix


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


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"Received: \(2, 3\)"):
        confusion_matrix(np.zeros((2, 3), int), ["a", "b"])
