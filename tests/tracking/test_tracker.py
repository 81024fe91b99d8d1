import shutil
import subprocess
import sys
import threading

import mlflow
import pytest
from matplotlib.figure import Figure

from kerasdl import tracking
from kerasdl.errors import TrackingError
from kerasdl.tracking import environment

EMPTY = {"config_yaml": "{}\n", "params": {}, "tags": {}}


def artifacts(client, run_id, folder=None):
    return sorted(file.path for file in client.list_artifacts(run_id, folder))


def test_importing_tracking_does_not_import_mlflow():
    code = "import sys, kerasdl.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_run_holds_what_was_logged(config, tmp_path, new_folder):
    config.tracking.run_name = "first"
    config.tracking.tags = {"purpose": "baseline"}
    tracker = tracking.create(config)
    tracker.check()
    params = {"model": {"filters": [10, 20], "regularizer": None}, "seed": 0, "callbacks": {}}
    tracker.start(
        new_folder(config), config_yaml="seed: 0\n", params=params, tags={"purpose": "overruled", "hash": "abc"}
    )
    tracker.metrics({"loss": 0.5, "accuracy": 0.9}, step=7)
    tracker.text("hello", "notes/hello.txt")
    figure = Figure()
    figure.subplots().plot([1, 2])
    tracker.figure(figure, "curves.png")
    (tmp_path / "weights.bin").write_bytes(b"123")
    tracker.file(tmp_path / "weights.bin", "files")
    tracker.dataset(name="mnist", version="3.0.1", digest="d" * 64, source="tfds://mnist/3.0.1", context="train")
    tracker.finish("FINISHED")

    client = tracking.open_store(config)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time
    assert run.info.run_name == "first"
    assert run.data.params == {
        "model.filters": "[10, 20]", "model.regularizer": "None", "seed": "0", "callbacks": "{}"
    }  # fmt: skip
    assert run.data.metrics == {"loss": 0.5, "accuracy": 0.9}
    assert client.get_metric_history(tracker.run_id, "loss")[0].step == 7
    assert run.data.tags["purpose"] == "baseline"
    assert run.data.tags["hash"] == "abc"
    assert run.data.tags["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"config.yaml", "curves.png", "files", "notes", "requirements.txt"} <= set(artifacts(client, tracker.run_id))
    assert artifacts(client, tracker.run_id, "files") == ["files/weights.bin"]
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/config.yaml") == "seed: 0\n"
    assert run.info.artifact_uri.startswith(str(config_dir(config) / "artifacts"))
    dataset = run.inputs.dataset_inputs[0]
    assert (dataset.dataset.name, dataset.dataset.digest) == ("mnist", "d" * 36)
    assert {tag.key: tag.value for tag in dataset.tags} == {"mlflow.data.context": "train", "version": "3.0.1"}
    assert "tfds://mnist/3.0.1" in dataset.dataset.source


@pytest.mark.parametrize("git_diff", [True, False])
def test_uncommitted_changes_are_kept_unless_the_user_says_no(config, new_folder, monkeypatch, git_diff):
    monkeypatch.setattr(environment, "git_diffs", lambda: {"git.diff": "+line\n", "git-own.diff": "+other\n"})
    config.tracking.git_diff = git_diff
    tracker = tracking.create(config)
    tracker.start(new_folder(config), **EMPTY)
    tracker.finish("FINISHED")
    kept = artifacts(tracking.open_store(config), tracker.run_id)
    assert {name for name in kept if name.endswith(".diff")} == ({"git.diff", "git-own.diff"} if git_diff else set())


def config_dir(config):
    return tracking.locate(config).output_dir


def test_every_step_is_logged_once_and_in_order(config, new_folder):
    tracker = tracking.create(config)
    tracker.start(new_folder(config), **EMPTY)
    for step in range(2500):
        tracker.metrics({"loss": step / 10, "accuracy": -step}, step)
    tracker.finish("FINISHED")
    history = mlflow.MlflowClient(tracking.locate(config).uri).get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, step / 10) for step in range(2500)]


def test_values_that_are_not_finite_and_values_that_are_long_are_taken(config, new_folder):
    tracker = tracking.create(config)
    tracker.start(new_folder(config), config_yaml="{}", params={"layers": "x" * 10_000}, tags={"note": "y" * 10_000})
    tracker.metrics({"loss": float("nan"), "worst": float("inf")}, 0)
    tracker.finish("FINISHED")
    run = tracking.open_store(config).get_run(tracker.run_id)
    assert len(run.data.params["layers"]) == 6000
    assert run.data.params["layers"].endswith("...")
    assert len(run.data.tags["note"]) == 8000
    assert str(run.data.metrics["loss"]) == "nan"
    assert run.data.metrics["worst"] > 1e300


def test_more_params_than_one_request_takes(config, new_folder):
    tracker = tracking.create(config)
    tracker.start(
        new_folder(config),
        config_yaml="{}",
        params={f"p{i}": i for i in range(250)},
        tags={f"t{i}": i for i in range(120)},
    )
    tracker.finish("FINISHED")
    data = tracking.open_store(config).get_run(tracker.run_id).data
    assert data.params == {f"p{i}": str(i) for i in range(250)}
    assert data.tags["t119"] == "119"


def test_an_exception_leaves_a_failed_run_with_its_traceback(config, new_folder):
    tracker = tracking.create(config)
    tracker.start(new_folder(config), **EMPTY)
    tracker.metrics({"loss": 1.0}, 0)
    tracker.finish("FAILED", error="Traceback ...\nValueError: no\n")
    run = tracking.open_store(config).get_run(tracker.run_id)
    assert run.info.status == "FAILED"
    assert run.data.metrics == {"loss": 1.0}
    assert "ValueError: no" in mlflow.artifacts.load_text(f"{run.info.artifact_uri}/error/traceback.txt")


ENDINGS = ["pass", "sys.exit(3)", "raise KeyboardInterrupt", "raise ValueError('no')"]

# One process imports MLflow, which takes seconds, and then becomes a program for each ending.
PROGRAMS = """
import os, sys
from types import SimpleNamespace
from kerasdl import tracking
from kerasdl.config.schema import Paths, Tracking
from kerasdl.runs import RunFolder
from kerasdl.tracking.store import import_mlflow

import_mlflow()
import mlflow.store.tracking.sqlalchemy_store
programs = []
for ending in sys.argv[2:]:
    if (program := os.fork()) == 0:
        break
    programs.append(program)
else:
    for program in programs:
        os.waitpid(program, 0)
    sys.exit()
config = SimpleNamespace(tracking=Tracking(experiment="endings"), paths=Paths(output_dir=sys.argv[1]))
folder = RunFolder.new(sys.argv[1], {}, "hash")
folder.create()
tracker = tracking.create(config)
tracker.start(folder, config_yaml="", params={}, tags={})
for step in range(1500):
    tracker.metrics({"loss": step}, step)
print(tracker.run_id, ending, flush=True)
exec(ending)
"""


@pytest.fixture(scope="module")
def ended(store_dir):
    """The run ids of programs that ended without `finish`, by their last statement."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS, store_dir, *ENDINGS], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    printed = [line.partition(" ") for line in done.stdout.splitlines()]
    return {ending: run_id for run_id, _, ending in printed}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_program_that_ends_without_finish_loses_nothing(make_config, store_dir, ended, ending):
    client = tracking.open_store(make_config(store_dir))
    assert len(client.get_metric_history(ended[ending], "loss")) == 1500
    assert client.get_run(ended[ending]).info.status == "KILLED"


def test_a_notebooks_own_run_and_address_are_left_alone(config, tmp_path, new_folder):
    import keras
    import numpy as np

    tracking.locate(config).connect()
    shutil.copy(config_dir(config) / "mlflow.db", tmp_path / "own.db")  # since MLflow takes seconds to make one
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/own.db")
    own_experiment = mlflow.create_experiment("own", artifact_location=f"{tmp_path}/own")
    try:
        with mlflow.start_run(experiment_id=own_experiment) as own:
            config.tracking.uri = f"sqlite:///{config_dir(config)}/mlflow.db"
            tracker = tracking.create(config)
            tracker.start(new_folder(config), **EMPTY)
            tracker.metrics({"loss": 1.0}, 0)
            tracker.model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]), np.zeros((1, 2), np.uint8), 1)
            tracker.finish("FINISHED")
            assert mlflow.active_run().info.run_id == own.info.run_id
            assert mlflow.get_tracking_uri() == f"sqlite:///{tmp_path}/own.db"
        own = mlflow.get_run(own.info.run_id)
        assert own.data.metrics == {}
        assert own.outputs.model_outputs == []
        assert tracking.open_store(config).get_run(tracker.run_id).data.metrics == {"loss": 1.0}
    finally:
        mlflow.set_tracking_uri(None)


def test_what_could_not_be_stored_is_reported_once_and_costs_nothing_else(config, new_folder):
    tracker = tracking.create(config)
    tracker.start(new_folder(config), config_yaml="", params={"seed": 0}, tags={})
    tracker.params({"seed": 1})
    tracker.file("/nowhere/weights.bin")
    tracker.metrics({"loss": 1.0}, 0)
    with pytest.raises(TrackingError, match=r"params seed .*/nowhere/weights.bin") as caught:
        tracker.finish("FINISHED")
    assert "\n" not in str(caught.value)
    tracker.finish("FINISHED")  # not raised again
    run = tracking.open_store(config).get_run(tracker.run_id)
    assert run.data.metrics == {"loss": 1.0}
    assert run.info.status == "FINISHED"


def test_a_deleted_experiment_is_refused_by_name(config, new_folder):
    client = tracking.locate(config).connect()
    client.delete_experiment(client.create_experiment(config.tracking.experiment))
    tracker = tracking.create(config)
    tracker.start(new_folder(config), **EMPTY)
    tracker.metrics({"loss": 1.0}, 0)
    with pytest.raises(TrackingError, match=r"tracking\.experiment .* deleted"):
        tracker.run_id  # noqa: B018
    tracker.finish("FAILED")  # raised before


def test_a_store_that_does_not_open_is_reported_at_the_end(make_config, tmp_path, new_folder):
    (tmp_path / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"nonsense" * 500)
    config = make_config(tmp_path)
    tracker = tracking.create(config)
    tracker.start(new_folder(config), **EMPTY)
    tracker.metrics({"loss": 1.0}, 0)
    with pytest.raises(TrackingError, match=r"paths\.output_dir"):
        tracker.finish("FINISHED")


def test_finish_without_start_does_nothing(config):
    tracker = tracking.create(config)
    tracker.finish("FAILED", error="it failed before the run began")
    assert tracker.run_id is None


def test_system_metrics_are_sampled(config, monkeypatch, new_folder, wait_until):
    monkeypatch.setattr("kerasdl.tracking.system_metrics.SAMPLING_SECONDS", 0.1)
    config.tracking.system_metrics = True
    tracker = tracking.create(config)
    tracker.start(new_folder(config), **EMPTY)
    assert tracker.run_id  # the store is there
    client = tracking.open_store(config)
    wait_until(lambda: "system/cpu_utilization_percentage" in client.get_run(tracker.run_id).data.metrics)
    tracker.finish("FINISHED")
    assert tracker._recorder._monitor._process is None  # its thread has ended
    history = client.get_metric_history(tracker.run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in history] == list(range(len(history)))


def test_system_metrics_need_no_server_and_go_on_with_their_numbers():
    from kerasdl.tracking.system_metrics import JournaledSystemMetrics

    published = []
    three = threading.Event()

    def publish(values, sample):
        published.append((sample, values["system/cpu_utilization_percentage"]))
        if len(published) == 3:
            three.set()

    monitor = JournaledSystemMetrics(publish, first_sample=7)
    monitor.sampling_interval = 0.01
    monitor.start()
    assert three.wait(20)
    monitor.finish()
    assert [sample for sample, _ in published][:3] == [7, 8, 9]


def test_passwords_are_not_shown(make_config, tmp_path):
    config = make_config(tmp_path, uri="postgresql://anna:geheim@db/runs")
    assert "geheim" not in tracking.create(config).describe() + tracking.create(config).ui_command()


def test_the_store_is_the_one_named_nearest(make_config, tmp_path, monkeypatch):
    assert tracking.locate(make_config(tmp_path)).uri == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1/")
    assert tracking.locate(make_config(tmp_path)).uri == "http://127.0.0.1:1"
    assert tracking.locate(make_config(tmp_path, uri="http://127.0.0.1:2")).uri == "http://127.0.0.1:2"


def test_no_tracker_takes_the_same_calls(make_config, tmp_path):
    config = make_config(tmp_path / "out", backend="none")
    nothing, real = tracking.create(config), tracking.MlflowTracker(config)
    names = {name for name in dir(real) if not name.startswith("_")}
    assert names == {name for name in dir(nothing) if not name.startswith("_")}
    nothing.check()
    nothing.start(None, **EMPTY, resumed_at=3)
    nothing.metrics({"loss": 1.0}, 0)
    nothing.series("learning_rate", 0, [0.1])
    nothing.sync()
    nothing.finish("FINISHED")
    assert nothing.run_id is None
    assert not (tmp_path / "out").exists()
