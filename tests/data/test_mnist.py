import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import kerasdl.data
from kerasdl import compose

EMBEDDED = Path(kerasdl.data.__file__).parent / "embedded" / "mnist"


def test_the_four_files_have_the_sums_that_stand_beside_them():
    rows = re.findall(r"\| (\S+\.gz) \| (\d+) \| ([0-9a-f]{64}) \|", (EMBEDDED / "README.md").read_text())
    assert len(rows) == 4
    for name, size, checksum in rows:
        content = (EMBEDDED / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (int(size), checksum)


@pytest.fixture(scope="module")
def mnist():
    config = compose(["data=mnist"])
    return kerasdl.data.load(config.data, 0, config.paths.cache_dir)


def test_mnist_is_prepared_from_them_without_a_network(mnist, batches):
    assert mnist.describe() == (
        "mnist 3.0.1: 55,000 train, 5,000 validation, 10,000 test, 28x28x1, 10 classes, in memory (55 MB)"
    )
    source = np.frombuffer(gzip.decompress((EMBEDDED / "t10k-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    ours = np.concatenate([images for images, _ in batches(mnist.test)])
    assert ours.sum(dtype=np.int64) == source.sum(dtype=np.int64)
    counts = np.bincount(mnist.test.column("label"))
    np.testing.assert_array_equal(counts, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])


def test_train_and_validation_share_one_copy_of_the_images(mnist):
    assert mnist.train._columns["image"].values is mnist.validation._columns["image"].values


def test_its_licence_is_known_though_tfds_does_not_state_it(mnist):
    assert mnist.info.licence.startswith("CC BY-SA 3.0")
