"""Quantisation to 8 bits: pixels go in as they are, everything between is integer."""

import numpy as np
import pytest

from kerasdl.data.features import Feature, label
from kerasdl.export.formats import litert, litert_int8
from kerasdl.export.source import Source
from kerasdl.models.signature import Signature
from kerasdl.quiet import quiet


@pytest.fixture(scope="module")
def path(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "model_int8.tflite"
    with quiet():
        litert_int8.write(source, path)
    return path


def test_pixels_go_in_exactly_although_no_image_is_black_or_white(path, images):
    assert images.min() == 40
    assert images.max() == 200
    assert litert_int8.input_quantizations(path) == [(1.0, 0)]


def test_weights_and_activations_are_integers_and_only_the_probabilities_are_not(path):
    interpreter = litert.interpreter(path)
    interpreter.allocate_tensors()
    (output,) = interpreter.get_output_details()
    floats = [one["index"] for one in interpreter.get_tensor_details() if np.issubdtype(one["dtype"], np.floating)]
    assert floats == [output["index"]]
    assert output["dtype"] == np.float32


def test_the_same_images_give_the_same_file(path, source, tmp_path):
    with quiet():
        litert_int8.write(source, tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == path.read_bytes()


def test_only_a_darkest_and_a_brightest_pixel_are_changed():
    images = np.array([[5, 6], [250, 7]], np.uint8).reshape(1, 2, 2, 1)
    assert litert_int8.with_full_range(images).reshape(-1).tolist() == [0, 6, 255, 7]
    assert images.reshape(-1).tolist() == [5, 6, 250, 7]
    alike = litert_int8.with_full_range(np.full((2, 2, 2, 1), 9, np.uint8))
    assert sorted(alike.reshape(-1)) == [0, *[9] * 6, 255]


def test_a_model_of_sound_is_said_to_be_unsuited(model):
    sound = Signature("tagging", {"sound": Feature("audio", (16000,), "float32")}, {"tag": label(("a", "b"))})
    told = "8-bit integers need images and numbers as inputs, and sound is neither"
    assert litert_int8.unsuited(Source(model, sound, {})) == told
