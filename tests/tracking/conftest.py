"""Real stores for the tests of tracking: sqlite in a directory, and an `mlflow server` over HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from kerasdl.config.schema import Paths, Tracking
from kerasdl.runs import RunFolder


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


@pytest.fixture(scope="session")
def new_folder():
    """Makes the folder of a new run of a configuration, locked as during an experiment."""

    def make(config):
        keys = {"experiment": config.tracking.experiment, "run_name": config.tracking.run_name}
        folder = RunFolder.new(config.paths.output_dir, {"tracking": keys}, "hash")
        folder.create()
        return folder

    return make


@pytest.fixture
def wait_until():
    return _wait_until


def _wait_until(condition, seconds=30):
    """Returns when `condition()` holds; fails if it doesn't in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition didn't come true"
        time.sleep(0.05)


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
                [*command, *store, *artifacts], env=env, stdout=out, stderr=out, cwd=self.directory,
                start_new_session=True,
            )  # fmt: skip
        _wait_for(self.uri + "/health", self.process, log)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def kill(self) -> None:
        """Ends the server with its workers at once, in the middle of whatever they do."""
        os.killpg(self.process.pid, signal.SIGKILL)
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
