"""One format made: a file that isn't the same network isn't kept."""

from dataclasses import replace

import numpy as np
import pytest

from kerasdl.export import making, table
from kerasdl.export.formats import FORMATS
from kerasdl.export.making import make
from kerasdl.export.tolerance import Tolerance
from kerasdl.export.verification import check_of

KERAS, SAVEDMODEL, LITERT = FORMATS[:3]


@pytest.fixture(scope="module")
def check(source, images):
    return check_of(source.predict, "test", {"image": images}, np.zeros(len(images), int))


def test_a_file_that_is_the_same_network_is_kept(source, check, tmp_path):
    outcome = make(KERAS, source, tmp_path, check)
    assert outcome.problem == ""
    assert outcome.measured.max_difference <= 1e-6
    assert outcome.measured.size == (tmp_path / "model.keras").stat().st_size


def test_a_file_with_a_damaged_weight_is_not_kept(source, check, tmp_path):
    def write_damaged(source, path):
        LITERT.write(source, path)
        weights = source.model.get_layer("logits").kernel.numpy().T[0].tobytes()
        content = path.read_bytes()
        assert content.count(weights) == 1
        path.write_bytes(content.replace(weights, np.ones(len(weights) // 4, "<f4").tobytes()))

    outcome = make(replace(LITERT, write=write_damaged), source, tmp_path, check)
    assert outcome.measured.max_difference > 1e-3
    differs = f"{outcome.measured.max_difference:.3g}"
    assert outcome.problem == f"a probability differs from Keras by {differs}, tolerated 0.0001"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_loaded_is_not_kept_and_its_traceback_is_shown(source, check, tmp_path, capfd):
    def write_another(source, path):
        path.write_bytes(b"GIF89a, and no network at all")

    outcome = make(replace(LITERT, write=write_another), source, tmp_path, check)
    assert outcome.measured is None
    assert outcome.problem.startswith("ValueError: ")
    assert "Traceback" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_fails_is_removed_whole(source, check, tmp_path, monkeypatch):
    monkeypatch.setitem(making.TOLERANCES, "savedmodel", Tolerance(-1.0, -1.0, 0.0, 0.0, "none is small enough"))
    outcome = make(SAVEDMODEL, source, tmp_path, check)
    assert outcome.problem == "a probability differs from Keras by 0, tolerated -1"
    assert list(tmp_path.iterdir()) == []


def test_a_converter_that_fails_leaves_the_rest_alone(source, check, tmp_path, capfd):
    def fail(source, path):
        path.write_text("half of it")
        raise RuntimeError("an operation that isn't known\nand a long explanation")

    outcome = make(replace(LITERT, write=fail), source, tmp_path, check)
    assert outcome.problem == "RuntimeError: an operation that isn't known"
    assert "and a long explanation" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_not_the_format_s_fault(source, check, tmp_path):
    def fail(source, path):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        make(replace(LITERT, write=fail), source, tmp_path, check)


def test_a_format_that_is_not_for_such_a_model_is_skipped_with_its_reason(source, check, tmp_path):
    outcome = make(replace(LITERT, unsuited=lambda source: "no phone has ears"), source, tmp_path, check)
    assert (outcome.skipped, outcome.problem, outcome.measured, outcome.is_kept) == (
        "no phone has ears",
        "",
        None,
        False,
    )
    assert list(tmp_path.iterdir()) == []
    assert "litert (skipped)" in table.text([outcome])
    assert "litert skipped: no phone has ears" in table.text([outcome])
    assert table.csv_text([outcome], check).splitlines()[1].endswith(",no phone has ears")
    assert table.metrics([outcome]) == {}
