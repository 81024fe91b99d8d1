import os
import signal
import time
from pathlib import Path

import pytest

from kerasdl import data
from kerasdl.data import network
from kerasdl.data.digits.digits_dataset_builder import Builder
from kerasdl.data.tfds import Tfds
from kerasdl.errors import DataError

# Prepares digits; says when it begins to write and goes on when a line comes in.
PREPARE = """
import sys
from omegaconf import OmegaConf
from kerasdl.config.schema import Data
from kerasdl.data.tfds import Tfds
from kerasdl.data.digits.digits_dataset_builder import Builder
plain = Builder._generate_examples
def slow(self, *arguments):
    print("writing", flush=True, file=sys.__stdout__)
    sys.stdin.readline()
    yield from plain(self, *arguments)
Builder._generate_examples = slow
config = OmegaConf.structured(Data(name="digits", data_dir=sys.argv[1]))
source = Tfds(config).prepared(sys.argv[2], lambda line: print(line, flush=True, file=sys.__stdout__))
print("examples", source.splits["train"], flush=True)
"""


def lines_until(process, word):
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if word in line:
            return lines
        if "writing" in line:
            break  # and now it waits for us
    process.kill()
    raise AssertionError(f"{word!r} never came: {lines} {process.stderr.read()[-2000:]}")


def test_two_processes_prepare_one_set_once(python, tmp_path, configure, monkeypatch):
    """This one waits for the other, which begins to write before and ends when this one reports that it waits."""
    other = python(PREPARE, tmp_path, tmp_path / "cache")
    lines_until(other, "writing")
    outputs = []

    def show(line):
        assert "waiting for another process" in line
        outputs.append(other.communicate("\n\n", timeout=60)[0])

    monkeypatch.setattr(Builder, "_generate_examples", lambda *_: pytest.fail("prepared twice"))
    config = configure(data_dir=str(tmp_path))
    source = Tfds(config).prepared(str(tmp_path / "cache"), show)
    (output,) = outputs
    assert "examples 1437" in output
    assert source.splits["train"] == 1437


def test_a_preparation_that_was_killed_is_no_obstacle(python, tmp_path, configure):
    killed = python(PREPARE, tmp_path, tmp_path / "cache")
    lines_until(killed, "writing")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    leftovers = list((tmp_path / "digits").glob("incomplete.*"))
    assert len(leftovers) == 1
    for path in (*leftovers[0].glob("**/*"), leftovers[0]):
        os.utime(path, (time.time() - 7200,) * 2)
    lines = []
    config = configure(data_dir=str(tmp_path))
    assert Tfds(config).prepared(str(tmp_path / "cache"), lines.append).splits["train"] == 1437
    assert not leftovers[0].exists()
    assert any("left by a preparation that was killed" in line for line in lines)


def test_progress_comes_as_words_and_tfds_prints_nothing(tmp_path, configure, capsys):
    config = configure(data_dir=str(tmp_path))
    lines = []
    Tfds(config).prepared(str(tmp_path / "cache"), lines.append)
    assert [line.split(" in ")[0] for line in lines] == ["preparing digits 1.0.0", "prepared digits 1.0.0"]
    assert capsys.readouterr().out == ""


def test_missing_files_without_a_network_are_named(tmp_path, configure, monkeypatch):
    monkeypatch.setattr(network, "reachable", lambda urls: False)
    with pytest.raises(
        DataError, match=r"Put cifar-10-binary\.tar\.gz into a directory DIR and set data\.manual_dir=DIR"
    ):
        data.check(configure(name="cifar10", data_dir=str(tmp_path)))


def test_only_the_files_that_are_missing_are_named(tmp_path, configure, monkeypatch):
    monkeypatch.setattr(network, "reachable", lambda urls: False)
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"Put t10k-labels-idx1-ubyte\.gz into"):
        data.check(configure(name="kmnist", data_dir=str(tmp_path), manual_dir=str(tmp_path)))


def test_files_that_tfds_has_downloaded_count_as_present(tmp_path, configure, monkeypatch):
    from tensorflow_datasets.core.download import resource

    monkeypatch.setattr(network, "reachable", lambda urls: False)
    config = configure(name="cifar10", data_dir=str(tmp_path))
    ((url, info),) = Tfds(config).builder.url_infos.items()
    path = tmp_path / "downloads" / "cifar10" / resource.get_dl_fname(url, info.checksum)
    path.parent.mkdir(parents=True)
    path.touch()
    Path(f"{path}.INFO").touch()
    assert data.check(config).name == "cifar10"


def test_a_file_with_a_wrong_checksum_is_named(tmp_path, configure):
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte.gz").write_bytes(b"not it")
    config = configure(name="kmnist", data_dir=str(tmp_path / "tfds"), manual_dir=str(tmp_path))
    with pytest.raises(DataError, match=r"-ubyte\.gz, has wrong checksum"):
        Tfds(config).prepared(str(tmp_path / "cache"), lambda line: None)


def test_a_manual_dir_that_is_not_there_is_refused(tmp_path, configure):
    with pytest.raises(DataError, match=r"data\.manual_dir must be an existing directory"):
        data.check(configure(name="kmnist", data_dir=str(tmp_path), manual_dir=str(tmp_path / "nowhere")))


def test_a_data_dir_that_cannot_be_written_is_refused(tmp_path, configure):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"data\.data_dir must be a writable directory"):
        data.load(configure(data_dir=str(tmp_path / "file")), 0, str(tmp_path))


def test_sets_to_be_fetched_by_hand_say_how(tmp_path, configure):
    with pytest.raises(DataError, match=r"downloaded by hand: .*ILSVRC2012_img_train\.tar.* data\.manual_dir=DIR"):
        data.check(configure(name="imagenet2012", image_size=[64, 64], data_dir=str(tmp_path)))
