"""A real server whose artifact store is broken, while its database takes everything."""

import numpy as np
import pytest

from kerasdl import tracking
from kerasdl.errors import TrackingError
from kerasdl.runs import RunFolder
from kerasdl.tracking.backlog import send_backlog
from kerasdl.tracking.lookup import find
from kerasdl.tracking.mlflow_tracker import MlflowTracker


@pytest.fixture
def broken(server):
    """Puts a file in place of the server's folder of artifacts, and restores the folder on request."""
    artifacts, aside = server.directory / "artifacts", server.directory / "artifacts.aside"
    had_some = artifacts.exists()
    if had_some:
        artifacts.rename(aside)
    artifacts.touch()

    def mend():
        if artifacts.is_file():
            artifacts.unlink()
            if had_some:
                aside.rename(artifacts)

    yield mend
    mend()


def network():
    import keras

    return keras.Sequential([keras.Input((2, 2, 1), dtype="uint8"), keras.layers.Rescaling(1 / 255)])


def test_metrics_pass_files_wait_and_the_mended_server_gets_them(broken, server, tmp_path, make_config, new_folder):
    config = make_config(tmp_path, experiment="broken artifacts", uri=server.uri)
    folder, tracker = new_folder(config), MlflowTracker(config)
    tracker.start(folder, config_yaml="seed: 0", params={"seed": 0}, tags={})
    tracker.metrics({"loss": 0.5}, 1)
    tracker.model(network(), np.zeros((1, 2, 2, 1), np.uint8), 1)
    with pytest.raises(TrackingError, match=r"refused .*config.yaml.*the model.*send it later with"):
        tracker.finish("FINISHED")
    folder.unlock()
    located = tracking.locate(config)
    run = located.connect().get_run(folder.record.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"loss": 0.5})

    with pytest.raises(TrackingError, match="refused"):
        send_backlog(again(folder), located, lambda sent, total: None)
    broken()
    assert send_backlog(again(folder), located, lambda sent, total: None) >= 3
    found = find(config, folder.record.run_id)
    assert "config.yaml" in found.artifacts.list()
    assert found.model is not None
    assert found.model.step == 1


def again(folder):
    return RunFolder.open(folder.path)
