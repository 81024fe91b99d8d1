"""`python -m kerasdl.export` for a regression from ten numbers, and for an autoencoder with two outputs."""

import csv
import re

import numpy as np
import pytest

from kerasdl import trained
from kerasdl.export import __main__ as export
from kerasdl.export.formats import FORMATS
from kerasdl.export.samples import Names
from kerasdl.export.tolerance import TOLERANCES

TASKS = ("regression", "autoencoder")


@pytest.fixture(scope="module")
def runs(regression_run, autoencoder_run):
    return dict(zip(TASKS, (regression_run, autoencoder_run), strict=True))


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory):
    """For each task the directory of an export in all formats, and its network."""
    folder, found = tmp_path_factory.mktemp("exported"), {}
    for task, run in runs.items():
        export.main([f"run={run.id}", f"paths.output_dir={run.output_dir}", f"output={folder / task}", "examples=70"])
        found[task] = (folder / task, trained.load(run.id, output_dir=run.output_dir))
    return found


def inputs_and_outputs(network, count):
    """Returns `count` test examples, and what the handed-over model gives for them, both by name."""
    batch = trained.examples(network.data().test, count)
    inputs = {name: batch[name] for name in network.signature.inputs}
    given = network.model.predict(inputs if len(inputs) > 1 else next(iter(inputs.values())), verbose=0)
    return inputs, given if isinstance(given, dict) else dict.fromkeys(network.signature.outputs, given)


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
@pytest.mark.parametrize("task", TASKS)
def test_every_file_takes_raw_features_by_name_and_gives_every_output(exported, task, format):
    directory, network = exported[task]
    signature = network.signature
    names = Names(tuple(signature.inputs), tuple(signature.outputs), signature.takes("image"))
    predict = format.load(directory / format.path, names)
    for count in (1, 5):
        inputs, expected = inputs_and_outputs(network, count)
        found = predict(inputs)
        for name, values in expected.items():
            assert (found[name].dtype, found[name].shape) == (np.float32, values.shape)
            _, whole = inputs_and_outputs(network, 70)
            limit = TOLERANCES[format.name].value_difference * np.ptp(whole[name])
            np.testing.assert_allclose(found[name], values, atol=limit, rtol=0)


@pytest.mark.parametrize("task", TASKS)
def test_the_table_compares_values_and_knows_no_accuracy(exported, task):
    directory, network = exported[task]
    with (directory / "verification.csv").open() as file:
        rows = {row["format"]: row for row in csv.DictReader(file)}
    assert list(rows) == [format.name for format in FORMATS]
    for name, row in rows.items():
        assert (row["kept"], row["accuracy"], row["keras_accuracy"], row["problem"]) == ("true", "", "", "")
        assert 0 <= float(row["max_difference"]) <= float(row["tolerated_difference"])
        assert float(row["tolerated_difference"]) == TOLERANCES[name].value_difference
    card = (directory / "README.md").read_text()
    assert "accuracy" not in card.lower().replace("test_accuracy", "")
    assert "kerasdl.robustness" not in card
    for name in (*network.signature.inputs, *network.signature.outputs):
        assert f"put | `{name}`: " in card


def test_numbers_of_the_run_are_kept_without_an_accuracy(exported, regression_run):
    network = trained.load(regression_run.id, output_dir=regression_run.output_dir)
    kept = {name for name in network.metrics if name.startswith("export/litert_")}
    assert {"export/litert_size_bytes", "export/litert_max_difference"} <= kept
    assert not any(name.endswith("accuracy") for name in network.metrics)


@pytest.mark.parametrize("task", TASKS)
def test_the_card_s_samples_run_and_give_what_keras_gives(exported, task, monkeypatch):
    directory, network = exported[task]
    reading, *samples = re.findall(r"```python\n(.*?)```", (directory / "README.md").read_text(), re.DOTALL)
    assert len(samples) == 4  # the three LiteRT files share one
    _, expected = inputs_and_outputs(network, 1)
    monkeypatch.chdir(directory)
    for sample in samples:
        variables: dict = {}
        exec(reading + sample, variables)
        found = variables.get("outputs", variables)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-3)


def test_eight_bits_take_bytes_for_images_and_floats_for_numbers(exported):
    from kerasdl.export.formats import litert

    for task, dtype in zip(TASKS, (np.float32, np.uint8), strict=True):
        details = litert.interpreter(exported[task][0] / "model_int8.tflite").get_input_details()
        assert {one["dtype"] for one in details} == {dtype}


@pytest.mark.parametrize("task", TASKS)
def test_mlflow_s_server_answers_with_every_output(exported, runs, task, monkeypatch):
    import mlflow
    from fastapi.testclient import TestClient
    from mlflow.pyfunc import scoring_server

    _, network = exported[task]
    inputs, expected = inputs_and_outputs(network, 2)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{runs[task].output_dir}/mlflow.db")
    served = mlflow.pyfunc.load_model(f"runs:/{network.id}/model")
    sent = {name: values.tolist() for name, values in inputs.items()}
    body = {"inputs": sent if len(sent) > 1 else next(iter(sent.values()))}
    answer = TestClient(scoring_server.init(served)).post("/invocations", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()["predictions"]
    for name, values in expected.items():
        given = found[name] if isinstance(found, dict) else found
        np.testing.assert_allclose(given, values, rtol=1e-4, atol=1e-4)
