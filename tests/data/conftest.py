"""Data sets prepared once a session, and configurations that point at them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from kerasdl.config import schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tfds")


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def configure(data_dir):
    """Returns the function from keys to a `data` node; digits in the session's directory unless told otherwise."""

    def make(**keys) -> DictConfig:
        return OmegaConf.structured(schema.Data(**{"name": "digits", "data_dir": str(data_dir), **keys}))

    return make


@pytest.fixture
def load(configure, cache_dir):
    from kerasdl import data

    def from_keys(seed: int = 0, **keys):
        return data.load(configure(**keys), seed, cache_dir)

    return from_keys


@pytest.fixture(scope="session")
def batches():
    """Returns the function that reads an epoch of a split: [(images, labels), ...] as NumPy arrays."""

    def read(split, epoch: int = 0, start_step: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
        import tensorflow as tf

        handle = split.epoch(epoch, start_step)
        steps = range(start_step, split.steps)
        read = [split.batch(handle, tf.constant(step)) for step in steps]
        return [(batch["image"].numpy(), batch["label"].numpy()) for batch in read]

    return read


@pytest.fixture
def python():
    """Returns the function that starts a Python process on some source, with pipes and the package on its path."""
    started = []

    def start(source: str, *arguments: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", source, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def sharded(data_dir) -> str:
    """Returns the name of a set of 230 images of varying size, in five files, whose split `hidden` has labels of -1."""
    import tensorflow_datasets as tfds

    class VaryingSizes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(0), "hidden": self._generate_examples(1)}

        def _generate_examples(self, hidden):
            random = np.random.default_rng(hidden)
            for index in range(230):
                shape = (*random.integers(5, 12, 2), 3)
                yield index, {"image": random.integers(0, 256, shape, np.uint8), "label": -1 if hidden else index % 3}

    builder = tfds.builder("varying_sizes", data_dir=data_dir)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=5))
    return "varying_sizes"
