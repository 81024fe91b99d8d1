"""The example image and the lines that read it."""

import numpy as np
import pytest

from kerasdl.data.features import Feature, image, number
from kerasdl.export.samples import reading, write_example


@pytest.mark.parametrize(("channels", "file"), [(1, "example.png"), (3, "example.png"), (2, "example.npy")])
def test_the_lines_read_back_the_very_pixels(tmp_path, monkeypatch, channels, file):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    features = {"image": image(5, 7, channels)}
    assert write_example({"image": pixels}, features, tmp_path) == file
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(reading(file, {"image": pixels}, features, ["a", "b"]), found)
    assert found["images"].dtype == np.uint8
    np.testing.assert_array_equal(found["images"], pixels[None])


@pytest.mark.parametrize(
    "names",
    [
        ["0", "1"],
        [f"class {number}" for number in range(100)],
        [f'"{number}"\\' for number in range(50)],
        ["ä" * 90] * 2,
    ],
)
def test_the_classes_come_out_as_they_are_however_many(tmp_path, monkeypatch, names):
    pixels, features = {"image": np.zeros((2, 2, 1), np.uint8)}, {"image": image(2, 2, 1)}
    write_example(pixels, features, tmp_path)
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(reading("example.png", pixels, features, names), found)
    assert found["classes"] == names


def test_single_numbers_stand_in_the_lines_themselves(tmp_path):
    given = {"age": np.float32(59.3), "weight": np.float32(1e-7)}
    features = {"age": number(), "weight": number()}
    assert write_example(given, features, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
    found: dict = {}
    exec(reading("", given, features), found)
    for name, value in given.items():
        assert found["inputs"][name].dtype == np.float32
        np.testing.assert_array_equal(found["inputs"][name], value[None])


def test_other_inputs_go_into_a_file_of_arrays(tmp_path, monkeypatch):
    given = {"image": np.ones((2, 2, 1), np.uint8), "scale": np.float32(0.5)}
    features = {"image": image(2, 2, 1), "scale": Feature("number", (), "float32")}
    assert write_example(given, features, tmp_path) == "example.npz"
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(reading("example.npz", given, features), found)
    for name, value in given.items():
        np.testing.assert_array_equal(found["inputs"][name], value[None])
        assert found["inputs"][name].dtype == value.dtype
