import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

from kerasdl import tracking
from kerasdl.errors import TrackingError


@pytest.fixture
def mount(tmp_path):
    """Mounts a file system at a new directory, which takes privileges."""
    mounted = []

    def mount(*arguments):
        directory = tmp_path / "mounted"
        directory.mkdir(exist_ok=True)
        if not shutil.which("mount"):
            pytest.skip("no mount command")
        done = subprocess.run(["mount", *arguments, str(directory)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting needs privileges: {done.stderr.strip()}")
        if directory not in mounted:
            mounted.append(directory)
        return directory

    yield mount
    for directory in mounted:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def refusal(config):
    """Returns the message with which `check` refuses, which is one line and comes in time."""
    start = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        tracking.create(config).check()
    assert time.monotonic() - start < 3.5
    assert "\n" not in str(caught.value)
    assert "Received" in str(caught.value)
    return str(caught.value)


def test_a_check_that_succeeds_is_quick_and_imports_no_mlflow(tmp_path):
    code = """
import sys, time
from types import SimpleNamespace
from kerasdl import tracking
from kerasdl.config.schema import Paths, Tracking
start = time.monotonic()
tracking.create(SimpleNamespace(tracking=Tracking(), paths=Paths(output_dir=sys.argv[1]))).check()
assert time.monotonic() - start < 0.3
assert "mlflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "new" / "place")], check=True)


def test_a_file_in_place_of_the_directory(make_config, tmp_path):
    (tmp_path / "file").write_text("")
    assert refusal(make_config(tmp_path / "file")).startswith("paths.output_dir")
    assert refusal(make_config(tmp_path / "file" / "below")).startswith("paths.output_dir")


def test_a_read_only_directory(make_config, mount):
    directory = mount("-t", "tmpfs", "tmpfs")
    mount("-o", "remount,ro")
    assert "Read-only" in refusal(make_config(directory))


def test_a_full_disk(make_config, mount):
    directory = mount("-t", "tmpfs", "-o", "size=100k", "tmpfs")
    assert refusal(make_config(directory)).startswith("paths.output_dir must have at least")
    with pytest.raises(OSError, match="No space"):
        (directory / "all").write_bytes(bytes(200_000))
    assert refusal(make_config(directory)).startswith("paths.output_dir")


def test_a_disk_that_fills_up_during_the_run_is_told(make_config, mount, new_folder, capfd):
    directory = mount("-t", "tmpfs", "-o", "size=60m", "tmpfs")
    config = make_config(directory)
    tracker = tracking.create(config)
    tracker.check()
    tracker.start(new_folder(config), config_yaml="", params={}, tags={})
    assert tracker.run_id
    with pytest.raises(OSError, match="No space"), open(directory / "all", "wb", buffering=0) as file:
        fill(file)
    tracker.text("x" * 2**20, "long.txt")
    tracker.metrics({"loss": 1.0}, 1)
    with pytest.raises(TrackingError, match=r"is full\)\. What is left .* is kept in .* python -m kerasdl\.sync"):
        tracker.finish("FINISHED", patience=0.5)
    told = capfd.readouterr().err
    assert re.search(r"could not write long\.txt .*No space", told)
    assert "Traceback" not in told


def fill(file):
    while True:
        if file.write(bytes(2**16)) < 2**16:
            file.write(b"0")


def test_a_database_that_is_none(make_config, tmp_path):
    (tmp_path / "mlflow.db").write_text("these are not the tables you are looking for")
    with pytest.raises(TrackingError, match="must be an sqlite database"):
        tracking.create(make_config(tmp_path)).check()


def test_a_server_that_is_not_there(make_config, tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{probe.getsockname()[1]}"
        assert refusal(make_config(tmp_path, uri=uri)).startswith("tracking.uri must be the address of a running")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert refusal(make_config(tmp_path)).startswith("MLFLOW_TRACKING_URI must be")


def test_a_server_that_says_nothing(make_config, tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "tracking.uri" in refusal(make_config(tmp_path, uri=uri))


def test_an_address_that_is_none(make_config, tmp_path):
    assert "tracking.uri" in refusal(make_config(tmp_path, uri="http://no such host/"))


def test_a_store_without_runs_can_not_be_read(make_config, tmp_path):
    with pytest.raises(TrackingError, match=r"python -m kerasdl\.train"):
        tracking.open_store(make_config(tmp_path / "empty"))
    assert not (tmp_path / "empty").exists()


def test_a_name_that_takes_long_to_look_up(make_config, tmp_path, monkeypatch):
    given_up = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: given_up.wait(60) and [])
    assert "no answer in 3 s" in refusal(make_config(tmp_path, uri="http://example.org"))
    given_up.set()
