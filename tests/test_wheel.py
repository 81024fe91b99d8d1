"""An installed wheel works from any directory: conf/ and MNIST's files are inside it."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # From a copy, so that the build leaves nothing in the checkout; without isolation, so that it needs no network.
    for name in ("kerasdl", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(folder),
            str(source),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    [file] = folder.glob("*.whl")
    return file


def test_the_wheel_holds_configuration_and_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"kerasdl/conf/train.yaml", "kerasdl/conf/model/cnn.yaml", "kerasdl/conf/experiment/mnist_cnn.yaml"} <= names
    embedded = {name for name in names if name.startswith("kerasdl/data/embedded/mnist/")}
    assert len([name for name in embedded if name.endswith(".gz")]) == 4
    assert not [name for name in names if name.startswith(("tests", "conf/", "mlruns", "notebooks"))]


def test_it_trains_from_any_directory(wheel, command, fast, used_store, tmp_path):
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site), str(wheel)],
        check=True,
        capture_output=True,
    )
    # With -m: Hydra finds the sweeper in the wheel, too.
    ended = command("train", "-m", *fast, "trainer.epochs=1", PYTHONPATH=str(site))
    assert ended.returncode == 0, ended.stderr
    assert "1 trials, 1 finished" in ended.stdout
    with contextlib.closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as database:
        assert database.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)] * 2  # the sweep and its trial
    where = subprocess.run(
        [sys.executable, "-c", "import kerasdl.config.composition as c; print(c.conf_dir())"],
        cwd=tmp_path, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.strip() == str(site / "kerasdl" / "conf")
