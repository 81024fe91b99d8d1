"""Real stores for the tests of tracking: sqlite in a directory, and an `mlflow server` over HTTP."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from kerasdl.config.schema import Paths, Tracking


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def make_config():
    """Makes what `tracking.create` reads of a configuration; without system metrics, unless asked for."""

    def make(output_dir, **keys):
        tracking = Tracking(**{"system_metrics": False, **keys})
        return SimpleNamespace(tracking=tracking, paths=Paths(output_dir=str(output_dir)))

    return make


@pytest.fixture(scope="session")
def store_dir(tmp_path_factory) -> Path:
    """An output directory that tests share, since a new database takes seconds; its name has a space."""
    return tmp_path_factory.mktemp("shared store")


@pytest.fixture
def config(make_config, store_dir, request):
    """A configuration with an experiment of the test's own in the shared store."""
    return make_config(store_dir, experiment=request.node.name)


@pytest.fixture
def free_port() -> int:
    return _free_port()


@pytest.fixture
def wait_for():
    return _wait_for


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """An `mlflow server` process; it can be stopped and started again on the same port and store."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.port = _free_port()
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        store = ["--backend-store-uri", f"sqlite:///{self.directory}/server.db"]
        artifacts = ["--artifacts-destination", str(self.directory / "artifacts")]
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        log = self.directory / "server.log"
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [*command, *store, *artifacts], env=env, stdout=out, stderr=out, cwd=self.directory
            )
        _wait_for(self.uri + "/health", self.process, log)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def _wait_for(url: str, process: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    """Returns when `url` answers; fails if `process` ends first."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{url}: {error}\n{log.read_text()[-2000:]}")
            time.sleep(0.2)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()
