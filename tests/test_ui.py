import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import psutil
import pytest

from kerasdl import tracking
from kerasdl.config.schema import Paths, Tracking
from kerasdl.runs import RunFolder

UI = [sys.executable, "-m", "kerasdl.ui"]


def run(*arguments):
    return subprocess.run([*UI, *arguments], capture_output=True, text=True, timeout=30)


@pytest.fixture(scope="module", autouse=True)
def no_tracking_uri():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def store_with_a_run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("store")
    config = SimpleNamespace(
        tracking=Tracking(experiment="shown", system_metrics=False), paths=Paths(output_dir=str(directory))
    )
    tracker = tracking.create(config)
    folder = RunFolder.new(directory, {}, "hash")
    folder.create()
    tracker.start(folder, config_yaml="", params={}, tags={})
    tracker.finish("FINISHED")
    return directory


@pytest.fixture
def ui(store_with_a_run):
    """A running UI: (process, its address)."""
    process = subprocess.Popen(
        [*UI, f"paths.output_dir={store_with_a_run}", "port=0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = process.stdout.readline()
    yield process, re.search(r"http://127\.0\.0\.1:\d+", line).group()
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
def test_the_ui_shows_the_store_until_it_is_interrupted(ui, interrupt):
    process, address = ui
    with urllib.request.urlopen(f"{address}/api/2.0/mlflow/experiments/search?max_results=10", timeout=20) as response:
        assert '"name": "shown"' in response.read().decode()
    with urllib.request.urlopen(address, timeout=20) as response:
        assert "<html" in response.read().decode()
    assert psutil.Process(process.pid).children(recursive=True) == []  # nobody to be left behind
    process.send_signal(interrupt)
    _, errors = process.communicate(timeout=15)
    assert errors == ""
    assert process.returncode in (0, -signal.SIGTERM)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=2)


def test_a_port_in_use_is_one_line(store_with_a_run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run(f"paths.output_dir={store_with_a_run}", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_directory_without_runs_is_one_line(tmp_path):
    done = run(f"paths.output_dir={tmp_path}/none")
    assert done.returncode == 1
    assert "python -m kerasdl.train" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "argument", ["foo=1", "paths.output_dir", "port=many", "port=70000", "host=no.such.host.invalid"]
)
def test_a_wrong_argument_is_one_line(argument, store_with_a_run):
    done = run(f"paths.output_dir={store_with_a_run}", argument)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_help_is_quick():
    start = time.monotonic()
    done = run("--help")
    assert done.returncode == 0
    assert "paths.output_dir" in done.stdout
    assert time.monotonic() - start < 1.0
