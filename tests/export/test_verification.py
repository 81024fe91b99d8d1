"""Files compared with Keras, on functions whose answers are known."""

import numpy as np
import pytest

from kerasdl.errors import UserError
from kerasdl.export.tolerance import Tolerance
from kerasdl.export.verification import Check, check_of, complaint, measure, size

# Four images, whose pixel is their number, of classes 0, 0, 1, 1; Keras takes the last for a 0.
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], np.float32)
CHECK = Check("test", np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), np.array([0, 0, 1, 1]), PROBABILITIES)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(bytes(123))
    return path


def answering(probabilities):
    return lambda images: probabilities[images.reshape(-1)]


def test_a_file_that_answers_like_keras_differs_by_nothing(file):
    measured = measure(answering(PROBABILITIES), file, CHECK)
    assert (measured.max_difference, measured.agreement, measured.accuracy, measured.size) == (0.0, 1.0, 0.75, 123)
    assert 0 < measured.seconds_64 < 0.1
    assert 0 < measured.seconds_1 < 0.1


def test_the_largest_difference_the_labels_and_the_accuracy_are_measured(file):
    other = PROBABILITIES.copy()
    other[1] = [0.45, 0.55]
    measured = measure(answering(other), file, CHECK)
    assert measured.max_difference == pytest.approx(0.35)
    assert (measured.agreement, measured.accuracy) == (0.75, 0.5)
    assert complaint(measured, CHECK, Tolerance(0.5, 0.0, 0.0, "")) == ""  # one image is always allowed
    assert "differs from Keras by 0.35" in complaint(measured, CHECK, Tolerance(0.3, 1.0, 1.0, ""))


def test_more_accurate_than_keras_is_no_loss(file):
    other = PROBABILITIES.copy()
    other[3] = [0.4, 0.6]
    measured = measure(answering(other), file, CHECK)
    assert measured.accuracy == 1.0
    assert complaint(measured, CHECK, Tolerance(0.5, 0.0, 0.0, "")) == ""


def test_a_probability_that_is_no_number_is_no_agreement(file):
    other = PROBABILITIES.copy()
    other[2] = np.nan
    assert "nan" in complaint(measure(answering(other), file, CHECK), CHECK, Tolerance(1.0, 1.0, 1.0, ""))


@pytest.mark.parametrize("wrong", [PROBABILITIES.astype(np.float64), PROBABILITIES[:, :1]])
def test_what_a_file_gives_must_have_the_type_and_the_shape_of_probabilities(file, wrong):
    with pytest.raises(UserError, match=r"instead of probabilities float32 \(4, 2\)"):
        measure(answering(wrong), file, CHECK)


def test_files_are_tried_with_batches_of_different_sizes(file, model, images):
    check = check_of(model, "test", images, np.zeros(70, int))
    sizes = []

    def classify(some):
        sizes.append(len(some))
        return np.asarray(model.predict_on_batch(some))

    assert measure(classify, file, check).max_difference == 0.0
    assert sizes[:2] == [64, 6]
    assert set(sizes) == {64, 6, 1}


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "data").write_bytes(bytes(10))
    (tmp_path / "graph").write_bytes(bytes(5))
    assert size(tmp_path) == 15
