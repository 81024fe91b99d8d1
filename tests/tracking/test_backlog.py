"""A run whose process died is ended by another process."""

import subprocess
import sys
from pathlib import Path

import pytest

from kerasdl import tracking
from kerasdl.errors import ResumeError, TrackingError
from kerasdl.runs import RunFolder
from kerasdl.tracking.backlog import end_dead_run, send_backlog

TRACE = "its process was killed (SIGKILL), perhaps because memory ran out\nümläut"

DIES = """
import os, signal, sys
from types import SimpleNamespace
from kerasdl import tracking
from kerasdl.config.schema import Paths, Tracking
from kerasdl.runs import RunFolder
keys = Tracking(system_metrics=False, experiment=sys.argv[2])
config = SimpleNamespace(tracking=keys, paths=Paths(output_dir=sys.argv[1]))
folder = RunFolder.new(sys.argv[1], {"tracking": {"experiment": sys.argv[2], "run_name": None}}, "hash", sys.argv[2])
folder.create()
tracker = tracking.create(config)
tracker.start(folder, config_yaml="seed: 0", params={"seed": 0}, tags={})
tracker.metrics({"loss": 1.5}, 10)
assert tracker.run_id
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def died(config):
    """The folder of a run whose process was killed in the middle of it."""
    output = config.paths.output_dir
    command = [sys.executable, "-c", DIES, output, config.tracking.experiment]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert ended.returncode == -9, ended.stderr
    return RunFolder.open(Path(output) / "runs" / config.tracking.experiment)


@pytest.fixture
def never_opened(config, new_folder):
    """The folder of a run whose process died before it had opened MLflow."""
    folder = new_folder(config)
    folder.unlock()
    return folder


def artifacts(client, run_id, path):
    return [item.path for item in client.list_artifacts(run_id, path)]


def test_a_run_whose_process_was_killed_is_ended_with_the_reason(died, config):
    located = tracking.locate(config)
    assert located.connect().get_run(died.record.run_id).info.status == "RUNNING"
    end_dead_run(died, located, "FAILED", TRACE)
    client = located.connect()
    run = client.get_run(died.record.run_id)
    assert (run.info.status, run.data.metrics["loss"]) == ("FAILED", 1.5)
    assert run.info.end_time is not None
    assert artifacts(client, run.info.run_id, "error") == ["error/traceback.txt"]
    place = Path(run.info.artifact_uri.removeprefix("file://")) / "error" / "traceback.txt"
    assert place.read_text(encoding="utf-8") == TRACE
    assert RunFolder.open(died.path).record.status == "FAILED"
    died.lock()  # it isn't locked any more
    died.unlock()


def test_a_run_that_was_never_opened_is_made_and_ended(never_opened, config):
    located = tracking.locate(config)
    end_dead_run(never_opened, located, "KILLED", TRACE)
    run_id = RunFolder.open(never_opened.path).record.run_id
    client = located.connect()
    assert client.get_run(run_id).info.status == "KILLED"
    assert artifacts(client, run_id, "error") == ["error/traceback.txt"]


def test_ending_it_twice_changes_nothing(never_opened, config):
    located = tracking.locate(config)
    for _ in range(2):
        end_dead_run(never_opened, located, "FAILED", TRACE)
    run_id = RunFolder.open(never_opened.path).record.run_id
    client = located.connect()
    experiment = client.get_experiment_by_name(config.tracking.experiment).experiment_id
    assert [run.info.run_id for run in client.search_runs([experiment])] == [run_id]
    assert client.get_run(run_id).info.status == "FAILED"


def test_a_run_that_is_being_worked_on_is_left_alone(config, new_folder):
    folder = new_folder(config)
    with pytest.raises(ResumeError, match="is in use by process"):
        end_dead_run(RunFolder.open(folder.path), tracking.locate(config), "FAILED", TRACE)
    assert RunFolder.open(folder.path).record.status == "RUNNING"
    folder.unlock()


def test_while_the_store_is_away_the_end_waits_in_the_journal(never_opened, config, make_config, free_port, store_dir):
    away = make_config(store_dir, experiment=config.tracking.experiment, uri=f"http://127.0.0.1:{free_port}")
    with pytest.raises(TrackingError):
        end_dead_run(never_opened, tracking.locate(away), "FAILED", TRACE)
    assert RunFolder.open(never_opened.path).record.status == "FAILED"
    folder = RunFolder.open(never_opened.path)
    folder.lock()  # it isn't locked any more
    located = tracking.locate(config)
    assert send_backlog(folder, located, lambda sent, total: None) >= 2
    folder.unlock()
    client = located.connect()
    assert client.get_run(folder.record.run_id).info.status == "FAILED"
    assert artifacts(client, folder.record.run_id, "error") == ["error/traceback.txt"]
