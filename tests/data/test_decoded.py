import json
from pathlib import Path

import numpy as np
import pytest

from kerasdl import data
from kerasdl.errors import DataError


@pytest.fixture
def cached(configure, tmp_path):
    """Returns the function that loads digits with a cache of the test's own, and the lines that it reported."""

    def load(**keys):
        lines = []
        return data.load(configure(**keys), 0, str(tmp_path), lines.append), lines

    return load


def folder(tmp_path) -> Path:
    return next((tmp_path / "decoded").iterdir())


def first_batch(loaded):
    return loaded.train.batch(loaded.train.epoch(0), 0)["image"].numpy()


def test_a_second_run_neither_decodes_nor_reads_through_tf_data(cached, monkeypatch):
    first, lines = cached()
    assert any("decoding train" in line for line in lines)
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds.core.DatasetBuilder, "as_dataset", None)
    second, lines = cached()
    assert lines == []
    np.testing.assert_array_equal(first_batch(first), first_batch(second))


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (flip_a_byte, "is corrupted"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "has the wrong size"),
        (lambda path: path.unlink(), "can't be read"),
        (lambda path: (path.parent / "manifest.json").write_text("{"), "manifest.json can't be read"),
    ],
    ids=["flipped", "cut", "removed", "manifest"],
)
def test_a_damaged_cache_is_named_and_rebuilt(cached, tmp_path, damage, complaint):
    before = first_batch(cached()[0])
    damage(folder(tmp_path) / "train.images.npy")
    loaded, lines = cached()
    assert complaint in lines[0]
    np.testing.assert_array_equal(first_batch(loaded), before)
    assert cached()[1] == []


def test_files_are_written_whole_with_their_sums(cached, tmp_path):
    cached()
    names = {path.name for path in folder(tmp_path).iterdir()} - {".lock"}
    manifest = json.loads((folder(tmp_path) / "manifest.json").read_text())
    assert names == {"manifest.json", *manifest}
    assert manifest["train.images.npy"]["bytes"] == (folder(tmp_path) / "train.images.npy").stat().st_size


def test_streaming_keeps_labels_only(cached, tmp_path):
    cached(memory_budget="0")
    assert sorted(path.name for path in folder(tmp_path).glob("*.npy")) == ["test.labels.npy", "train.labels.npy"]


def test_slices_that_differ_in_one_character_do_not_share_a_file(cached):
    assert cached(train_split="train[80%:]")[0].train.size != cached(train_split="train[80:]")[0].train.size


def test_a_cache_directory_that_cannot_be_written_is_a_clear_error(configure, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"paths\.cache_dir must be a writable directory"):
        data.load(configure(), 0, str(tmp_path / "file"))
