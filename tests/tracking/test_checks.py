import contextlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from kerasdl import tracking
from kerasdl.errors import TrackingError
from kerasdl.tracking import checks, deleted


@pytest.fixture
def mount(tmp_path):
    """Mounts a file system at a new directory, which requires privileges."""
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
    """Returns the message of `check`, which is one line and comes in time."""
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


def test_a_disk_that_fills_up_during_the_run_is_reported(make_config, mount, new_folder, capfd):
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
    with pytest.raises(TrackingError, match=r"is full\)\. The rest .* is kept in .* python -m kerasdl\.sync"):
        tracker.finish("FINISHED", patience=0.5)
    told = capfd.readouterr().err
    assert re.search(r"couldn't store long\.txt .*No space", told)
    assert "Traceback" not in told


def fill(file):
    while True:
        if file.write(bytes(2**16)) < 2**16:
            file.write(b"0")


def test_a_database_that_is_none(make_config, tmp_path):
    (tmp_path / "mlflow.db").write_text("these are not the tables you are looking for")
    with pytest.raises(TrackingError, match="must be a sqlite database"):
        tracking.create(make_config(tmp_path)).check()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_of_files_which_mlflow_refuses(make_config, tmp_path, monkeypatch, scheme):
    uri = f"{scheme}{tmp_path}/mlruns"
    told = refusal(make_config(tmp_path, uri=uri))
    assert told.startswith("tracking.uri must be the address of a database or a server")
    assert f"tracking.uri=sqlite:///{tmp_path}/mlruns.db" in told
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert refusal(make_config(tmp_path)).startswith("MLFLOW_TRACKING_URI must be")
    with pytest.raises(TrackingError, match="keeps no runs in files"):
        tracking.open_store(make_config(tmp_path))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # switched on by the user
    tracking.create(make_config(tmp_path)).check()


def deletes(client, config):
    """Makes an experiment with a run, deletes first one, then the other; returns what `check` says each time."""
    experiment = client.create_experiment(config.tracking.experiment)
    run = client.create_run(experiment).info.run_id
    tracker = tracking.create(config)
    tracker.check()
    tracker.check(run)
    told = []
    for delete in (lambda: client.delete_run(run), lambda: client.delete_experiment(experiment)):
        delete()
        with pytest.raises(TrackingError) as caught:
            tracker.check(run)
        told.append(str(caught.value))
        if len(told) == 1:
            tracker.check()  # a new run is accepted
    with pytest.raises(TrackingError) as caught:
        tracker.check()
    assert str(caught.value) == told[1]
    assert told[0].startswith(f"MLflow run {run} is deleted")
    assert f"mlflow runs restore --run-id {run}" in told[0]
    assert told[1].startswith("tracking.experiment must name an experiment that isn't deleted. Received: ")
    assert f"mlflow experiments restore --experiment-id {experiment}" in told[1]
    tracking.create(config).check("0" * 32)  # an unknown run is accepted, because the check may not see it


def test_what_is_deleted_in_a_database_is_found_out_before_training(config):
    deletes(tracking.locate(config).connect(), config)


def test_what_is_deleted_on_a_server_is_found_out_before_training(make_config, server, tmp_path):
    config = make_config(tmp_path, uri=server.uri, experiment="to be deleted, & soon")
    deletes(tracking.locate(config).connect(), config)


def test_a_database_that_is_no_ones_yet_or_locked_is_no_obstacle(make_config, tmp_path, monkeypatch):
    config = make_config(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(b"")
    tracking.create(config).check()
    monkeypatch.setattr(deleted, "TIMEOUT_SECONDS", 0.01)
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as other:
        other.execute("CREATE TABLE experiments (experiment_id, name, lifecycle_stage)")
        other.execute("INSERT INTO experiments VALUES (1, 'kerasdl', 'deleted')")
        other.commit()
        other.execute("BEGIN EXCLUSIVE")
        tracking.create(config).check()
        other.rollback()
    with pytest.raises(TrackingError, match="isn't deleted"):
        tracking.create(config).check()


def test_a_server_that_is_not_there(make_config, tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{probe.getsockname()[1]}"
        assert refusal(make_config(tmp_path, uri=uri)).startswith("tracking.uri must be the address of a running")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert refusal(make_config(tmp_path)).startswith("MLFLOW_TRACKING_URI must be")


@pytest.fixture
def impatient(monkeypatch):
    """Waits half a second for a server, instead of three."""
    monkeypatch.setattr(checks, "SERVER_TIMEOUT_SECONDS", 0.5)


def test_a_server_that_says_nothing(make_config, tmp_path, impatient):
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


def test_a_name_that_takes_long_to_look_up(make_config, tmp_path, impatient, monkeypatch):
    given_up = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: given_up.wait(60) and [])
    assert "no answer in 0.5 s" in refusal(make_config(tmp_path, uri="http://example.org"))
    given_up.set()
