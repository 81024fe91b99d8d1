"""Files compared with Keras, on functions whose answers are known."""

import numpy as np
import pytest

from kerasdl.errors import UserError
from kerasdl.export.tolerance import Tolerance
from kerasdl.export.verification import Check, check_of, complaint, measure, size

# Four images, whose pixel is their number, of classes 0, 0, 1, 1; Keras takes the last for a 0.
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], np.float32)
CHECK = Check(
    "test",
    {"image": np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)},
    {"probabilities": PROBABILITIES},
    np.array([0, 0, 1, 1]),
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(bytes(123))
    return path


def answering(probabilities):
    return lambda inputs: {"probabilities": probabilities[inputs["image"].reshape(-1)]}


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
    assert complaint(measured, CHECK, Tolerance(0.5, 0.0, 0.0, 0.0, "")) == ""  # one image is always allowed
    assert "differs from Keras by 0.35" in complaint(measured, CHECK, Tolerance(0.3, 1.0, 1.0, 1.0, ""))


def test_more_accurate_than_keras_is_no_loss(file):
    other = PROBABILITIES.copy()
    other[3] = [0.4, 0.6]
    measured = measure(answering(other), file, CHECK)
    assert measured.accuracy == 1.0
    assert complaint(measured, CHECK, Tolerance(0.5, 0.0, 0.0, 0.0, "")) == ""


def test_a_probability_that_is_no_number_is_no_agreement(file):
    other = PROBABILITIES.copy()
    other[2] = np.nan
    assert "nan" in complaint(measure(answering(other), file, CHECK), CHECK, Tolerance(1.0, 1.0, 1.0, 1.0, ""))


@pytest.mark.parametrize("wrong", [PROBABILITIES.astype(np.float64), PROBABILITIES[:, :1]])
def test_what_a_file_gives_must_have_the_type_and_the_shape_of_probabilities(file, wrong):
    with pytest.raises(UserError, match=r"instead of probabilities float32 \(4, 2\)"):
        measure(answering(wrong), file, CHECK)


def test_files_are_tried_with_batches_of_different_sizes(file, source, images):
    check = check_of(source.predict, "test", {"image": images}, np.zeros(70, int))
    sizes = []

    def predict(inputs):
        sizes.append(len(inputs["image"]))
        return source.predict(inputs)

    assert measure(predict, file, check).max_difference == 0.0
    assert sizes[:2] == [64, 6]
    assert set(sizes) == {64, 6, 1}


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "data").write_bytes(bytes(10))
    (tmp_path / "graph").write_bytes(bytes(5))
    assert size(tmp_path) == 15


# Two outputs without labels: a number from 100 to 300, and a code of two zeros.
VALUES = Check(
    "test",
    {"age": np.array([1, 2], np.float32), "weight": np.array([3, 4], np.float32)},
    {"number": np.array([[100], [300]], np.float32), "code": np.zeros((2, 2), np.float32)},
)


def answering_values(number, code):
    given = {"number": np.array([[100], [number]], np.float32), "code": np.array([[0, 0], [0, code]], np.float32)}
    return lambda inputs: {name: values[inputs["age"].astype(int) - 1] for name, values in given.items()}


def test_without_labels_every_output_is_compared_in_its_own_range(file):
    measured = measure(answering_values(302, 0.25), file, VALUES)
    assert measured.differences == {"number": pytest.approx(0.01), "code": 0.25}
    assert (measured.max_difference, measured.agreement, measured.accuracy) == (0.25, None, None)
    assert complaint(measured, VALUES, Tolerance(0.0, 0.25, 0.0, 0.0, "")) == ""
    told = "code differs from Keras by 0.25 of its range, tolerated 0.2"
    assert complaint(measured, VALUES, Tolerance(0.0, 0.2, 0.0, 0.0, "")) == told


def test_a_value_that_is_no_number_is_no_agreement(file):
    measured = measure(answering_values(np.nan, 0), file, VALUES)
    assert "number differs from Keras by nan" in complaint(measured, VALUES, Tolerance(1.0, 1.0, 1.0, 1.0, ""))


def test_an_output_that_is_missing_is_named(file):
    with pytest.raises(UserError, match="it gives number and no code"):
        measure(lambda inputs: {"number": VALUES.outputs["number"]}, file, VALUES)
