"""What identifies data: its bytes, hashed once; and runs that recorded the fingerprint of an earlier version."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from kerasdl import data
from kerasdl.data import content, decoding
from kerasdl.data.content import NAME


class Greys(tfds.core.GeneratorBasedBuilder):
    """Twenty images of 6x6 in one grey a class, in two files; made anew in another grey they are as large as before."""

    VERSION = tfds.core.Version("1.0.0")
    grey = 10

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(6, 6, 1)),
            "label": tfds.features.ClassLabel(names=["dark", "light"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(20):
            yield index, {"image": np.full((6, 6, 1), self.grey + index % 2, np.uint8), "label": index % 2}


@pytest.fixture
def greys(tmp_path, configure, monkeypatch):
    """Returns the function that prepares the set in one grey and loads it, and the lines that were reported."""

    class Places:
        data = tmp_path / "tfds" / "greys" / "1.0.0"
        cache = tmp_path / "cache"

        def prepare(self, grey):
            shutil.rmtree(self.data, ignore_errors=True)
            monkeypatch.setattr(Greys, "grey", grey)
            builder = tfds.builder("greys", data_dir=tmp_path / "tfds")
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=2))

        def load(self, **keys):
            lines = []
            config = configure(name="greys", data_dir=str(tmp_path / "tfds"), test_split=None, validation=0, **keys)
            return data.load(config, 0, str(self.cache), lines.append), lines

        def shards(self):
            return sorted(self.data.glob("*.tfrecord*"))

    places = Places()
    places.prepare(10)
    return places


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that are hashed from now on."""
    names = []
    original = content._sha256
    monkeypatch.setattr(content, "_sha256", lambda path: names.append(path.name) or original(path))
    return names


def first_pixel(loaded):
    return int(loaded.train.batch(loaded.train.epoch(0), 0)["image"].numpy().min())


def test_data_made_anew_in_equal_size_is_other_data_and_its_new_pixels_are_served(greys):
    before, _ = greys.load()
    sizes = [path.stat().st_size for path in greys.shards()]
    greys.prepare(90)
    after, _ = greys.load()
    assert [path.stat().st_size for path in greys.shards()] == sizes
    assert before.info.former_fingerprint == after.info.former_fingerprint
    assert before.info.fingerprint != after.info.fingerprint
    assert (first_pixel(before), first_pixel(after)) == (10, 90)


def test_a_fingerprint_has_a_form_of_its_own_and_mlflow_keeps_all_of_it(greys):
    info = greys.load()[0].info
    assert info.fingerprint.startswith("sha256-")
    assert len(info.fingerprint) <= 36
    assert len(info.former_fingerprint) == 16


def test_files_are_hashed_once_and_again_when_they_change(greys, hashed):
    first = greys.load()[0].info.fingerprint
    assert sorted(hashed) == [path.name for path in greys.shards()]
    hashed.clear()
    assert greys.load()[0].info.fingerprint == first
    assert hashed == []
    one = greys.shards()[0]
    os.utime(one, ns=(0, one.stat().st_mtime_ns + 1))
    assert greys.load()[0].info.fingerprint == first
    assert hashed == [one.name]


def test_checking_reads_no_data(greys, configure, hashed):
    info = data.check(configure(name="greys", data_dir=str(greys.data.parents[1]), test_split=None))
    assert (hashed, info.fingerprint) == ([], "")
    assert not (greys.data / NAME).exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"a": 1}', '{"a": {"size": "x", "mtime_ns": 0, "sha256": ""}}', "\xff"])
def test_a_damaged_record_is_named_and_made_again(greys, hashed, damage):
    first = greys.load()[0].info.fingerprint
    record = greys.data / NAME
    whole = record.read_bytes()
    record.write_bytes(damage.encode("latin-1"))
    loaded, lines = greys.load()
    assert loaded.info.fingerprint == first
    assert any(str(record) in line and "can't be read" in line for line in lines)
    assert record.read_bytes() == whole
    assert len(hashed) == 4


def test_beside_data_that_cannot_be_written_the_cache_keeps_the_record(greys, hashed, monkeypatch):
    refused = greys.data / NAME
    original = content.written_whole

    def written_whole(path):
        if path == refused:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(content, "written_whole", written_whole)
    greys.load()
    hashed.clear()
    _, lines = greys.load()
    assert (hashed, lines) == ([], [])
    assert not refused.exists()
    (record,) = (greys.cache / "content").glob("greys-*.json")
    assert sorted(json.loads(record.read_text())) == [path.name for path in greys.shards()]


def test_what_was_hashed_before_an_interruption_is_kept(greys, hashed, monkeypatch):
    original = content._sha256

    def interrupted(path):
        if path == greys.shards()[1]:
            raise KeyboardInterrupt
        return original(path)

    with monkeypatch.context() as patch:
        patch.setattr(content, "_sha256", interrupted)
        patch.setattr(content, "_MOST_THREADS", 1)
        with pytest.raises(KeyboardInterrupt):
            greys.load()
    hashed.clear()
    greys.load()
    assert hashed == [greys.shards()[1].name]


def test_another_version_of_the_decoder_decodes_anew(greys, monkeypatch):
    greys.load()
    assert greys.load()[1] == []
    monkeypatch.setattr(decoding, "VERSION", decoding.VERSION + 1)
    assert any("decoding train" in line for line in greys.load()[1])
