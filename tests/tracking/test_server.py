import time

import mlflow
import pytest

from kerasdl import tracking
from kerasdl.errors import TrackingError
from kerasdl.tracking import worker as worker_module

EMPTY = {"config_yaml": "seed: 0\n", "params": {"seed": 0}, "tags": {"t": "v"}}


def test_a_run_is_kept_by_a_server(make_config, tmp_path, server, capsys):
    config = make_config(tmp_path, uri=server.uri, system_metrics=True)
    tracker = tracking.create(config)
    start = time.monotonic()
    tracker.check()
    assert time.monotonic() - start < 1.0
    tracker.start(**EMPTY)
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
    assert list(tmp_path.iterdir()) == []  # nothing but what the server keeps


def test_a_server_that_goes_away_for_a_time_costs_nothing(make_config, tmp_path, server, monkeypatch):
    monkeypatch.setattr(worker_module, "RETRY_SECONDS", 0.2)
    tracker = tracking.create(make_config(tmp_path, uri=server.uri))
    tracker.start(**EMPTY)
    assert tracker.run_id
    server.stop()
    for step in range(100):
        tracker.metrics({"loss": step}, step)
    server.start()
    tracker.finish("FINISHED")
    assert len(mlflow.MlflowClient(server.uri).get_metric_history(tracker.run_id, "loss")) == 100


def test_a_server_that_stays_away_is_told_in_time(make_config, tmp_path, server, monkeypatch):
    monkeypatch.setattr(worker_module, "PATIENCE_SECONDS", 1.0)
    tracker = tracking.create(make_config(tmp_path, uri=server.uri))
    tracker.start(**EMPTY)
    assert tracker.run_id
    server.stop()
    try:
        for step in range(100):
            tracker.metrics({"loss": step}, step)
        start = time.monotonic()
        with pytest.raises(TrackingError, match=r"is not complete: .*tracking\.uri"):
            tracker.finish("FINISHED")
        assert time.monotonic() - start < 30
    finally:
        server.start()
