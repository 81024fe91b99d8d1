"""What all tests share: data folders that the session makes for itself, and small experiments on scikit-learn's digits.

Nothing here needs a network, and nothing is written outside pytest's temporary folder.
"""

import fcntl
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import NamedTuple

import pytest

# Before anything imports TensorFlow: its start-up messages would drown a failing test's own.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FAST = ("data=digits", "model=image_classifier", "data.batch_size=32", "trainer.epochs=2", "tracking.interval=10")


@pytest.fixture(scope="session")
def common(tmp_path_factory):
    """A folder that all workers of the session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def folders(tmp_path_factory, common):
    """The session's own data, cache and home, for tests and for the processes that they start."""
    root = tmp_path_factory.mktemp("session")
    patch = pytest.MonkeyPatch()
    # Processes that test side by side prepare each data set once, as people's processes do.
    patch.setenv("TFDS_DATA_DIR", str(common / "tfds"))
    patch.setenv("KERASDL_CACHE_DIR", str(common / "cache"))
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    patch.delenv("KERASDL_TARGETS", raising=False)
    yield root
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def put_database(common):
    """Puts an MLflow database without runs at a path. Whatever opens a new store in this process gets such a copy.

    MLflow's migrations take seconds and give the same file each time. One process runs them once for all of the
    session, through the package's own function.
    """
    from filelock import FileLock

    from kerasdl.files import written_whole
    from kerasdl.tracking import store

    make, template = store._create_database, common / "template" / store.DATABASE

    def put(database):
        template.parent.mkdir(exist_ok=True)
        with FileLock(f"{template}.lock"):
            if not template.exists():
                make(template)
        database.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(database) as file:
            file.write(template.read_bytes())

    put.make = make  # for tests of the making itself
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_create_database", put)
        yield put


@pytest.fixture
def used_store(tmp_path, put_database):
    """A database in the test's folder, as after a first run, so that the test's processes need not make one."""
    put_database(tmp_path / "mlruns" / "mlflow.db")


@pytest.fixture(scope="session")
def fast():
    """Overrides of an experiment that takes a second: digits, a small network, two epochs."""
    return list(FAST)


@pytest.fixture
def config(tmp_path):
    """Composes a small experiment on digits, changed by overrides, whose results go to the test's folder."""
    from kerasdl import compose

    def composed(*overrides, tracking="none"):
        own = [f"paths.output_dir={tmp_path / 'mlruns'}", f"tracking={tracking}"]
        return compose([*FAST, *own, *overrides])

    return composed


@pytest.fixture(scope="session")
def build_task():
    """Builds the task of a configuration with its networks and optimizers, as an experiment does."""
    from kerasdl.experiment import assembly
    from kerasdl.training.runtime import Runtime

    def build(config, examples, jit=False):
        task, _ = assembly.build_task(config, examples, Runtime("CPU", "CPU", jit, deterministic=False))
        return task

    return build


class TrainedRun(NamedTuple):
    """A finished run in a store of its own: MLflow's id, and `paths.output_dir`."""

    id: str
    output_dir: Path


@pytest.fixture(scope="session")
def trained_run(folders):
    """A small network on digits, trained by a real experiment into a real store; not to be changed by a test."""
    from kerasdl import compose, run

    output_dir = folders / "trained" / "mlruns"
    result = run(compose([*FAST, f"paths.output_dir={output_dir}", "tracking.system_metrics=false"]))
    return TrainedRun(result.run_id, output_dir)


@pytest.fixture(scope="session")
def regression_run(folders):
    """A small network from ten numbers to a number, on the diabetes table; not to be changed by a test."""
    return _trained(folders, "regression", "model=mlp", "data=diabetes", "task=regression", "trainer.epochs=3")


@pytest.fixture(scope="session")
def autoencoder_run(folders):
    """A small autoencoder of digits; not to be changed by a test."""
    overrides = ("data=digits", "task=autoencoder", "task.pictures_every=1", "trainer.epochs=2", "optimizer=adam")
    return _trained(folders, "autoencoder", "model=autoencoder", *overrides)


def _trained(folders, name, *overrides):
    from kerasdl import compose, run

    output_dir = folders / name / "mlruns"
    result = run(compose([*overrides, f"paths.output_dir={output_dir}", "tracking.system_metrics=false"]))
    return TrainedRun(result.run_id, output_dir)


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """A real browser without windows, where there is one; `resize` sets the width of its pages."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver

    monkeypatch.setenv("SE_OFFLINE", "true")
    monkeypatch.setenv("SE_AVOID_STATS", "true")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    profile = f"user-data-dir={tmp_path / 'browser'}"
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars", profile):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def resize(browser):
    """Gives the browser's pages a width in pixels."""

    def call(width):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    return call


@pytest.fixture
def typed(monkeypatch, tmp_path):
    """Runs an entry point in this process with what a user types in the test's folder."""
    from hydra.core.hydra_config import HydraConfig

    from kerasdl.training.interrupts import Interrupts

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Interrupts, "second", Interrupts.second)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", HydraConfig.instance().cfg)
    monkeypatch.setattr("atexit.register", lambda function: None)

    def run(main, *words):
        monkeypatch.setattr(sys, "argv", ["program", *words])
        main()

    return run


@pytest.fixture
def command(tmp_path):
    """Runs `python -m kerasdl.<module> ...` in the test's folder, as a user would, and returns the ended process."""

    def run(module, *arguments, timeout=120, **environment):
        return subprocess.run(
            [sys.executable, "-m", f"kerasdl.{module}", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


class Terminal:
    """A terminal with a process in it, which can be closed.

    Args:
        arguments: of Python.
        folder: the working directory.
    """

    def __init__(self, arguments, folder):
        self._screen, inside = os.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that closing it sends SIGHUP
        )
        os.close(inside)

    def wait_for(self, pattern):
        """Returns when the process has shown what a regular expression describes."""
        while not re.search(pattern, self.shown):
            try:
                self.shown += os.read(self._screen, 65536).decode(errors="replace")
            except OSError:
                pytest.fail(f"the process ended with {self.process.wait()} and showed:\n{self.shown}")

    def close(self):
        """Closes it; returns the exit code of the process.

        The system tells the first process of a terminal. That is mostly a shell, which tells its jobs, all processes of
        each.
        """
        os.close(self._screen)
        self._screen = None
        os.killpg(self.process.pid, signal.SIGHUP)
        return self.process.wait(60)

    def end(self):
        if self._screen is not None:
            os.close(self._screen)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def in_terminal(tmp_path):
    """Starts `python -m kerasdl.train ...` in a terminal of its own, in the test's folder; ended with the test."""
    terminals = []

    def start(*arguments):
        terminals.append(Terminal(["-m", "kerasdl.train", *arguments], tmp_path))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.end()


# The longest come first, so that at the end there are short ones to share out.
LONGEST = (
    "test_notebooks.py",
    "test_killed",
    "test_machines.py",
    "test_isolation.py",
    "test_parent.py",
    "test_mnist.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.path.name.startswith(LONGEST))


def pytest_collection_finish():
    # The modules that tests import stay until the end. Searching them for garbage took a tenth of a run's time.
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter):
    """Shows what tests have to tell beyond passing: how many kills were survived."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == "summary" and report.when == "call":
                    terminalreporter.write_line(line)
