"""Sweeps as a user types them, in real processes, and what can be seen of them from outside.

`Sweep` is a working directory in which one command is run any number of times; `Typed` is one of these. What tests look
at afterwards is read from Optuna's storage, MLflow's store and the runs' folders, never from kerasdl's own objects.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
WALL_CLOCK = ("examples_per_second", "seconds", "memory_gb")
_LONGEST_SECONDS = 240.0
_LOOK_SECONDS = 0.05


def wait_until(condition: Callable[[], object], what: str, seconds: float = _LONGEST_SECONDS):
    """Returns what `condition` gives as soon as that is true.

    Raises:
        TimeoutError: it didn't become true within `seconds`; says `what` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(_LOOK_SECONDS)
    return found


class Sweep:
    """A command, its working directory, and its processes.

    Args:
        folder: the working directory; made if need be.
        overrides: of `kerasdl.train -m`.
        environment: variables to add.
        changes: for `machine.py`; {} runs `kerasdl.train` itself.
    """

    def __init__(self, folder: Path, overrides, environment=None, changes=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.results = folder / "mlruns"
        self._overrides = list(overrides)
        self._environment = environment or {}
        self._changes = changes
        self._typed: list[Typed] = []

    def type(self, *more: str, multirun: bool = True) -> "Typed":
        """Starts the command, with more overrides at the end; without `multirun` it trains once."""
        program = ["-m", "kerasdl.train"]
        if self._changes:
            program = [str(Path(__file__).with_name("machine.py")), json.dumps(self._changes)]
        name = self._changes.get("machine", "") if self._changes else ""
        typed = Typed(
            [sys.executable, *program, *(["-m"] if multirun else []), *self._overrides, *more],
            self.folder,
            self.folder / f"output{name}-{len(self._typed)}",
            {**os.environ, "PYTHONPATH": str(ROOT), **self._environment},
        )
        self._typed.append(typed)
        return typed

    def end(self) -> None:
        """Kills what still runs."""
        for typed in self._typed:
            typed.kill_all()


class Typed:
    """A sweep's process, and those of its trials."""

    def __init__(self, command: list[str], folder: Path, output: Path, environment: dict[str, str]):
        self._output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file)
        self.pid = self.process.pid
        self._handle = psutil.Process(self.pid)
        self._known: set[psutil.Process] = {self._handle}

    @property
    def output(self) -> str:
        return self._output.read_text()

    def lines(self, beginning: str) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith(beginning)]

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def wait(self) -> int:
        """Returns the exit code, once there is one."""
        return self.process.wait(_LONGEST_SECONDS)

    def wait_until(self, condition: Callable[[], object], what: str):
        """Returns what `condition` gives as soon as that is true; None if the sweep ends before."""
        found = wait_until(lambda: condition() or self.has_ended, f"{what}, in\n{self.output}")
        return None if self.has_ended else found

    def descendants(self) -> set[psutil.Process]:
        """Returns all its processes that are known: itself, the server that forks trials, and trials."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._known |= set(self._handle.children(recursive=True))
        return self._known

    def trials(self) -> dict[psutil.Process, Path]:
        """Returns the processes of trials that run now, each with the file that gets what it prints."""
        found = {}
        for process in self.descendants() - {self._handle}:
            with contextlib.suppress(psutil.NoSuchProcess, OSError):
                log = Path(os.readlink(f"/proc/{process.pid}/fd/1"))
                if log.name.startswith("trial-") and _is_alive(process):
                    found[process] = log
        return found

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def signal_all(self, number: int) -> None:
        """Sends a signal to the sweep and all its processes, as if the machine did it."""
        for process in self.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill_all(self) -> None:
        self.signal_all(signal.SIGKILL)
        self.process.wait()

    def left(self) -> list[psutil.Process]:
        """Returns its processes that are alive."""
        return [process for process in self._known if _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE  # who is dead may have no one to reap
    return False


def processes_in(folder: Path) -> list[psutil.Process]:
    """Returns all processes that work in a folder, whoever began them."""
    return [
        process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder) and _is_alive(process)
    ]


def pause(typed: Typed, draw: random.Random, longest: float) -> None:
    """Lets a drawn time pass, or less if the sweep ends: then whatever instruction it is at."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        typed.process.wait(draw.uniform(0, longest))


# What can be seen of a sweep


def attempts(storage, name: str) -> list:
    """Returns all of the study's trials as Optuna has them, but for those that kerasdl took out.

    Args:
        storage: a working directory's results folder, or what Optuna takes.
        name: of the study.
    """
    import optuna

    if isinstance(storage, Path):
        if not (storage / "optuna.db").exists():
            return []
        storage = f"sqlite:///{storage / 'optuna.db'}"
    study = optuna.load_study(study_name=name, storage=storage)
    return [trial for trial in study.get_trials(deepcopy=False) if not trial.user_attrs.get("dropped")]


def outcome(storage, name: str) -> dict[str, tuple]:
    """Returns state and values of each configuration's last attempt, by its hash."""
    return {trial.user_attrs["config_hash"]: (trial.state.name, trial.values) for trial in attempts(storage, name)}


def client(results: Path):
    """Returns a client of the working directory's MLflow."""
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{results / 'mlflow.db'}")


def mlflow_runs(results: Path) -> tuple[list, list]:
    """Returns the parent runs and the children of all MLflow runs; each run is one of them."""
    mlflow_client = client(results)
    experiment = mlflow_client.get_experiment_by_name("kerasdl")
    runs = mlflow_client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if run.data.tags.get("kerasdl.kind") == "sweep"]
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(parents) + len(children) == len(runs)
    return parents, children


def histories(results: Path) -> dict[str, dict]:
    """Returns by configuration hash what MLflow has of each child: status, fingerprint of its weights, all points.

    Of metrics that depend on the clock only the steps are kept. A configuration with two runs is an error.
    """
    mlflow_client, found = client(results), {}
    for run in mlflow_runs(results)[1]:
        history = {"status": run.info.status, "weights": run.data.tags["kerasdl.weights"]}
        for key in run.data.metrics:
            points = sorted(
                (point.step, point.value) for point in mlflow_client.get_metric_history(run.info.run_id, key)
            )
            steps = [step for step, _ in points]
            assert steps == sorted(set(steps)), f"{key} has a step twice: {steps}"
            history[key] = steps if key.endswith(WALL_CLOCK) else points
        assert found.setdefault(run.data.tags["kerasdl.config_hash"], history) is history, "a trial with two runs"
    return found


def ends(results: Path) -> dict[str, tuple]:
    """Returns what must not change any more of the runs that are finished, by the name of their folder.

    A trial that were run to its end a second time would write its record again, and checkpoints.
    """
    found = {}
    for record in results.glob("runs/*/run.json"):
        if json.loads(record.read_text())["record"]["status"] == "FINISHED":
            written = sorted(record.parent.glob("checkpoints/*.npz"))
            found[record.parent.name] = tuple((path.name, path.stat().st_mtime_ns) for path in [record, *written])
    return found
