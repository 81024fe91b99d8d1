import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasdl.config import compose
from kerasdl.config.composition import conf_dir
from kerasdl.data import preparation
from kerasdl.data.tfds import Tfds
from kerasdl.errors import DataError

CHOICES = sorted(
    path.stem
    for path in Path(conf_dir(), "data").glob("*.yaml")
    if path.stem != "tfds" and "_target_" not in path.read_text()  # which names another kind of data
)
SHAPES = {"digits": (8, 8, 1), "cifar10": (32, 32, 3), "cifar100": (32, 32, 3), "svhn": (32, 32, 3)}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_is_a_data_set_with_statistics_for_its_channels(choice, tmp_path):
    config = compose([f"data={choice}", f"data.data_dir={tmp_path}"])
    info = Tfds(config.data).info
    shape = info.features.inputs["image"].shape
    assert shape == SHAPES.get(choice, (28, 28, 1))
    assert len(info.features.targets["label"].names) == (100 if choice == "cifar100" else 10)
    assert len(config.data.normalization.mean) == len(config.data.normalization.std) == shape[-1]
    assert Path(conf_dir(), "data", f"{choice}.yaml").read_text().startswith("# ")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"name": "mnst"}, r"'mnst'\. Did you mean mnist"),
        ({"name": "emnist/digitz"}, r"The configs of emnist are .*digits"),
        ({"name": "mnist:9.9.9"}, r"mnist cannot be loaded at version 9\.9\.9, only: 3\.0\.1"),
        (
            {"name": "imdb_reviews"},
            r"one image and at most one class label per example.*text \(Text\)",
        ),
        ({"name": "cats_vs_dogs"}, r"vary in size: set data\.image_size=\[height,width\]"),
    ],
)
def test_what_is_no_set_of_images_is_refused(configure, tmp_path, keys, words):
    with pytest.raises(DataError, match=words):
        Tfds(configure(data_dir=str(tmp_path), **keys))


def test_an_unknown_name_is_refused_quickly_and_without_tensorflow(tmp_path):
    code = """
import sys
from omegaconf import OmegaConf
from kerasdl import data
from kerasdl.config.schema import Data
from kerasdl.errors import DataError
try:
    data.check(OmegaConf.structured(Data(name="mnst", data_dir=sys.argv[1])))
except DataError:
    print("tensorflow" in sys.modules)
"""
    start = time.monotonic()
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr
    assert time.monotonic() - start < 5


def test_a_config_and_a_version_may_be_part_of_the_name(configure, tmp_path):
    info = Tfds(configure(name="emnist/letters:3.1.0", data_dir=str(tmp_path))).info
    assert (info.name, info.version, len(info.features.targets["label"].names)) == ("emnist/letters", "3.1.0", 37)


def test_the_data_dir_follows_key_environment_and_home(configure, monkeypatch, tmp_path):
    assert preparation.data_dir(configure(data_dir="~/sets")) == Path.home() / "sets"
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert preparation.data_dir(configure(data_dir=None)) == tmp_path
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert preparation.data_dir(configure(data_dir=None)) == Path.home() / "tensorflow_datasets"
