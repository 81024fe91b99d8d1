"""An autoencoder: two networks and one optimizer, learned without labels, with pictures while it trains."""

import numpy as np
import pytest
from mlflow import MlflowClient

import kerasdl
from kerasdl import compose, run
from kerasdl.errors import ConfigError, DataError

WORDS = ("data=digits", "task=autoencoder", "model=autoencoder", "optimizer=adam", "trainer.epochs=4",
         "task.pictures_every=2", "tracking.system_metrics=false")  # fmt: skip


@pytest.fixture
def composed(tmp_path):
    return lambda *words: compose([*WORDS, f"paths.output_dir={tmp_path}/mlruns", *words])


def test_it_learns_keeps_pictures_resumes_to_the_bit_and_is_opened_again(composed, tmp_path):
    place = f"paths.output_dir={tmp_path}/mlruns"
    whole = run(composed())
    assert whole.history["val_mse"][-1] < whole.history["val_mse"][0] / 2
    stopped = run(composed(), should_prune=lambda epoch, step, metrics: epoch == 2)
    resumed = run(compose([f"resume={stopped.resume_id}", place]))
    assert (resumed.weights, resumed.metrics["test_mse"]) == (whole.weights, whole.metrics["test_mse"])

    network = kerasdl.load(whole.run_id, output_dir=tmp_path / "mlruns")
    assert network.signature.describe() == "image -> image, 32 numbers"
    images = kerasdl.trained.examples(network.data().test, 5)["image"]
    given = network.model(images)
    assert given["reconstruction"].shape == images.shape
    assert given["code"].shape == (5, 32)
    assert np.mean((given["reconstruction"].numpy() - images) ** 2) / 255**2 < 0.1

    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    names = {item.path for item in client.list_artifacts(whole.run_id, "pictures/epoch-0002")}
    assert names == {"pictures/epoch-0002/reconstructions.png"}
    assert "reconstructions.png" in {item.path for item in client.list_artifacts(whole.run_id)}


def test_a_network_of_one_role_is_refused(composed):
    expected = "model must describe what task=autoencoder needs: encoder and decoder. Received: image_classifier."
    with pytest.raises(ConfigError, match=expected):
        run(composed("model=image_classifier", "tracking=none"))


def test_two_roles_where_one_is_needed_are_refused(composed):
    words = ["data=digits", "model=autoencoder", "tracking=none"]
    with pytest.raises(ConfigError, match="model must describe what task=classification needs: classifier."):
        run(compose(words))


def test_a_table_is_refused(composed):
    with pytest.raises(DataError, match="task=autoencoder needs data with one image per example. Received: diabetes"):
        run(composed("data=diabetes", "tracking=none"))
