import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from kerasdl import register, tracking


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    """Five handwritten digits as a program reads them from PNG files, uint8 [5, 8, 8, 1]."""
    folder = tmp_path_factory.mktemp("digits")
    for number, digit in enumerate(load_digits().images[:5]):
        Image.fromarray((digit * 255 / 16).astype(np.uint8)).save(folder / f"{number}.png")
    return np.stack([np.asarray(Image.open(folder / f"{number}.png"))[..., None] for number in range(5)])


@pytest.fixture(scope="module")
def logged(make_config, store_dir, new_folder, pixels):
    """A run with a model in it: (uri, run id, images, the probabilities that the model gave here)."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    config = make_config(store_dir, experiment="models")
    tracker = tracking.create(config)
    tracker.start(new_folder(config), config_yaml="", params={}, tags={})
    tracker.model(model, pixels, step=40)
    tracker.finish("FINISHED")
    return tracking.locate(config).uri, tracker.run_id, pixels, model.predict(pixels, verbose=0)


def test_the_model_says_what_it_takes_gives_and_needs(logged):
    import mlflow

    uri, run_id, images, _ = logged
    client = mlflow.MlflowClient(uri)
    run = client.get_run(run_id)
    (output,) = run.outputs.model_outputs
    assert output.step == 40
    model = client.get_logged_model(output.model_id)
    assert model.name == "model"
    assert model.status == "READY"
    assert model.source_run_id == run_id
    info = mlflow.models.Model.load(model.artifact_location)
    assert (info.run_id, info.model_id) == (run_id, model.model_id)
    (taken,), (given,) = info.signature.inputs.inputs, info.signature.outputs.inputs
    assert (taken.type, taken.shape) == (np.dtype("uint8"), (-1, 8, 8, 1))
    assert (given.type, given.shape) == (np.dtype("float32"), (-1, 3))
    requirements = mlflow.artifacts.load_text(f"{model.artifact_location}/requirements.txt")
    assert f"keras=={keras.__version__}" in requirements
    assert f"numpy=={np.__version__}" in requirements
    example = mlflow.artifacts.load_dict(f"{model.artifact_location}/serving_input_example.json")
    assert np.array(example["inputs"]).shape == (1, 8, 8, 1)


def test_mlflow_serves_the_registered_model_on_this_machine_only(
    logged, store_dir, tmp_path, free_port, wait_for, capsys
):
    _, run_id, images, expected = logged
    register.main([f"run={run_id}", "name=served", "alias=champion", f"paths.output_dir={store_dir}"])
    command = re.search(r"^serve +(.*)$", capsys.readouterr().out, re.MULTILINE)[1]
    assert "models:/served@champion" in command
    assert command.endswith("-p 5001")
    log = tmp_path / "serve.log"
    # mlflow and uvicorn are found by their names, as in an activated environment.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    env = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command.replace("-p 5001", f"-p {free_port}"), shell=True, env=os.environ | env,
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{free_port}/ping", process, log)
        body = json.dumps({"inputs": images.tolist()}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{free_port}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            np.testing.assert_allclose(json.load(response)["predictions"], expected, atol=1e-5)
        # An address of this machine that only a server on all addresses answers.
        with pytest.raises(OSError, match="refused|unreachable|assign"):
            socket.create_connection(("127.0.0.2", free_port), timeout=5)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # the server with the workers it started
            process.wait(20)
