import re
import socket
import time

import keras
import mlflow
import numpy as np
import pytest
from omegaconf import OmegaConf

import kerasdl
from kerasdl import sync, tracking, trained
from kerasdl.commands import RUN_KEYS, parse
from kerasdl.errors import TrackingError
from kerasdl.runs import RunFolder
from kerasdl.tracking import worker as worker_module
from kerasdl.tracking.store import import_mlflow

EMPTY = {"config_yaml": "seed: 0\n", "params": {"seed": 0}, "tags": {"t": "v"}}


def test_a_run_is_kept_by_a_server(make_config, tmp_path, server, new_folder, capsys):
    config = make_config(tmp_path, uri=server.uri, system_metrics=True)
    tracker = tracking.create(config)
    start = time.monotonic()
    tracker.check()
    assert time.monotonic() - start < 1.0
    folder = new_folder(config)
    tracker.start(folder, **EMPTY)
    for step in range(1200):
        tracker.metrics({"loss": step}, step)
    tracker.metrics({"bad": float("nan")}, 0)
    tracker.dataset(name="mnist", version="3.0.1", digest="abc", source="tfds://mnist/3.0.1", context="train")
    tracker.finish("FINISHED")
    client = mlflow.MlflowClient(server.uri)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "0"}
    assert run.data.tags["t"] == "v"
    assert [point.step for point in client.get_metric_history(tracker.run_id, "loss")] == list(range(1200))
    assert run.inputs.dataset_inputs[0].dataset.name == "mnist"
    assert "config.yaml" in [file.path for file in client.list_artifacts(tracker.run_id)]
    assert capsys.readouterr() == ("", "")  # no "View run ... at ..."
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]  # the rest is with the server
    assert list((folder.tracking / "spool").iterdir()) == []


def test_a_network_comes_back_from_a_server_and_takes_its_results_there(server, tmp_path, new_folder, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    config = kerasdl.compose(["data=digits", f"paths.output_dir={tmp_path}", f"tracking.uri={server.uri}"])
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    image = keras.Input((8, 8, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(keras.layers.Dense(2)(flat)))
    tracker = tracking.create(config)
    tracker.start(new_folder(config), config_yaml=OmegaConf.to_yaml(config, resolve=True), params={}, tags={})
    tracker.model(model, images, 1, {"class_names": ["even", "odd"]})
    tracker.finish("FINISHED")

    monkeypatch.chdir(tmp_path / "elsewhere")
    values = parse([f"run={tracker.run_id[:10]}", f"tracking.uri={server.uri}"], RUN_KEYS)
    with trained.opened(values) as network:
        assert network.class_names == ("even", "odd")
        np.testing.assert_array_equal(network(images), model.predict(images, verbose=0))
        network.results.text("class\n", "evaluate/classes.csv")
        network.results.metrics({"evaluate/test/accuracy": 0.5})
        assert {"config.yaml", "evaluate/classes.csv"} <= set(network.results.list())
    assert mlflow.MlflowClient(server.uri).get_run(tracker.run_id).data.metrics["evaluate/test/accuracy"] == 0.5
    assert list((tmp_path / "elsewhere").iterdir()) == []


def steps(history):
    return [point.step for point in history]


def test_a_server_that_is_killed_and_comes_back_gets_everything_once(
    make_config, tmp_path, server, new_folder, wait_until, monkeypatch, capfd
):
    monkeypatch.setattr(worker_module, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(worker_module, "RETRY_SECONDS", 0.2)
    config = make_config(tmp_path, uri=server.uri)
    tracker = tracking.create(config)
    tracker.start(new_folder(config), **EMPTY)
    assert tracker.run_id
    client = mlflow.MlflowClient(server.uri)
    for step in range(3000):
        tracker.metrics({"loss": step / 7}, step)
    wait_until(lambda: len(client.get_metric_history(tracker.run_id, "loss")) > 0)
    server.kill()
    for step in range(3000, 6000):  # none of these calls waits for the server
        tracker.metrics({"loss": step / 7}, step)
    tracker.text("said while it was away", "note.txt")
    wait_until(lambda: tracker._recorder.worker._outage_reported)
    server.start()
    tracker.finish("FINISHED")
    history = client.get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, step / 7) for step in range(6000)]
    assert "note.txt" in [file.path for file in client.list_artifacts(tracker.run_id)]
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    captured = capfd.readouterr()
    assert captured.err.count("Warning") == 1
    assert (
        f"{server.uri} does not answer (Connection refused). Training continues; its results are kept in "
        in captured.err
    )
    assert captured.out.count("is available again") == 1


def test_what_a_server_that_stays_away_did_not_get_is_kept_and_sent_later(
    make_config, tmp_path, server, new_folder, capsys
):
    config = make_config(tmp_path, uri=server.uri)
    tracker = tracking.create(config)
    folder = new_folder(config)
    tracker.start(folder, **EMPTY)
    run_id = tracker.run_id
    server.kill()
    arguments = [f"paths.output_dir={tmp_path}"]
    try:
        for step in range(100):
            tracker.metrics({"loss": step}, step)
        with pytest.raises(TrackingError, match=r"is not complete: .*refused.* is kept in .*kerasdl\.sync") as caught:
            tracker.finish("FINISHED", patience=0.5)
        assert "\n" not in str(caught.value)
        folder.unlock()
        capsys.readouterr()
        with pytest.raises(SystemExit) as too_early:
            sync.main(arguments)
        assert too_early.value.code == 1
        assert re.fullmatch(r"Error: MLflow run \w+ is not complete: .*refused.*\n", capsys.readouterr().err)
    finally:
        server.start()
    sync.main(arguments)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert re.fullmatch(rf"run {run_id}: \d+ entries sent\n", printed.out)
    client = mlflow.MlflowClient(server.uri)
    assert steps(client.get_metric_history(run_id, "loss")) == list(range(100))
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"


def test_a_run_that_starts_while_its_server_is_away_is_created_later(
    make_config, tmp_path, server, new_folder, free_port
):
    config = make_config(tmp_path, uri=f"http://127.0.0.1:{free_port}")
    tracker = tracking.create(config)
    folder = new_folder(config)
    tracker.start(folder, **EMPTY)
    assert tracker.run_id is None
    tracker.metrics({"loss": 0.5}, 3)
    with pytest.raises(TrackingError, match="is kept in"):
        tracker.finish("FINISHED", patience=0)
    folder.update(tracking_uri=server.uri)  # as if it had come back there
    folder.unlock()
    sync.main([f"paths.output_dir={tmp_path}"])
    run = mlflow.MlflowClient(server.uri).get_run(RunFolder.open(folder.path).record.run_id)
    assert run.data.tags["kerasdl.run"] == folder.name
    assert run.data.metrics == {"loss": 0.5}
    assert run.info.status == "FINISHED"


def test_a_server_that_takes_calls_and_never_answers_does_not_hold_up_the_end(
    make_config, tmp_path, new_folder, monkeypatch
):
    monkeypatch.setattr(worker_module, "MIN_HANGING_SECONDS", 1.0)
    import_mlflow()  # takes seconds
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        config = make_config(tmp_path, uri=f"http://127.0.0.1:{silent.getsockname()[1]}")
        tracker = tracking.create(config)
        tracker.start(new_folder(config), **EMPTY)
        tracker.metrics({"loss": 0.5}, 3)
        with pytest.raises(TrackingError, match="took too long.* is kept in"):
            tracker.finish("KILLED", patience=0)
