"""The example image and the lines that read it."""

import numpy as np
import pytest

from kerasdl.export.samples import reading, write_example


@pytest.mark.parametrize(("channels", "file"), [(1, "example.png"), (3, "example.png"), (2, "example.npy")])
def test_the_lines_read_back_the_very_pixels(tmp_path, monkeypatch, channels, file):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    assert write_example(image, tmp_path) == file
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(reading(file, (5, 7, channels), ["a", "b"]), found)
    assert found["images"].dtype == np.uint8
    np.testing.assert_array_equal(found["images"], image[None])


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
    write_example(np.zeros((2, 2, 1), np.uint8), tmp_path)
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(reading("example.png", (2, 2, 1), names), found)
    assert found["classes"] == names
