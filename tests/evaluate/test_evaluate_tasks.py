"""Evaluation of runs of any task: its metrics to the bit, its predictions and pictures; classes of a table's rows."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

import kerasdl
from kerasdl.data import Features
from kerasdl.errors import UserError
from kerasdl.evaluate.examples import MOST_SHOWN, ExampleCollector
from kerasdl.training.task import Evaluated

PATIENTS = '''
from dataclasses import replace

import numpy as np

from kerasdl.data.features import Features, label
from kerasdl.data.sklearn_table import SklearnTable


class Halves(SklearnTable):
    """The diabetes table, with the half that a patient is in as its label."""

    def __init__(self, config):
        super().__init__(config)
        target = self._columns.pop("progression")
        self._columns["half"] = (target > np.median(target)).astype(np.int64)
        features = Features(self.info.features.inputs, {"half": label(("better", "worse"))})
        self.info = replace(self.info, features=features)
'''


def test_a_regression_gives_the_numbers_of_trainings_end(evaluate_with, kept_with, regression_run, tmp_path):
    out = evaluate_with(regression_run)(f"output={tmp_path / 'output'}")
    assert "loss, mse, mae, r2: equal to the bit to those at the end of training" in out
    run, metrics, files = kept_with(regression_run)("evaluate/test", tmp_path)
    assert metrics == {f"evaluate/test/{name}": run.metrics[f"test_{name}"] for name in ("loss", "mse", "mae", "r2")}
    assert f"test       loss {metrics['evaluate/test/loss']:.4f}, mse {metrics['evaluate/test/mse']:.4f}, mae " in out
    assert set(files) == {"summary.json", "predictions.csv", "residuals.png"}
    assert {path.name for path in (tmp_path / "output/test").iterdir()} == set(files)
    summary = json.loads(files["summary.json"].read_text())
    assert summary["equal_to_the_end_of_training"] is True
    rows = list(csv.DictReader(files["predictions.csv"].open()))
    assert list(rows[0]) == ["index", "progression", "prediction"]
    assert [row["index"] for row in rows] == [str(index) for index in range(88)]
    errors = np.array([float(row["progression"]) - float(row["prediction"]) for row in rows])
    assert (errors**2).mean() == pytest.approx(metrics["evaluate/test/mse"], rel=1e-5)
    assert np.abs(errors).mean() == pytest.approx(metrics["evaluate/test/mae"], rel=1e-5)


def test_an_autoencoder_gives_its_metrics_and_pictures(evaluate_with, kept_with, autoencoder_run, tmp_path):
    out = evaluate_with(autoencoder_run)("split=test,validation")
    assert "loss, mse: equal to the bit to those at the end of training" in out
    run, metrics, files = kept_with(autoencoder_run)("evaluate/test", tmp_path)
    assert metrics["evaluate/test/mse"] == run.metrics["test_mse"]
    assert set(files) == {"summary.json", "reconstructions.png"}  # nothing of it is one number an example
    assert set(kept_with(autoencoder_run)("evaluate/validation", tmp_path)[1]) == {
        "evaluate/validation/loss", "evaluate/validation/mse",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["regression_run", "autoencoder_run"])
def test_the_last_checkpoint_is_measured_like_the_model(evaluate_with, name, request):
    evaluate = evaluate_with(request.getfixturevalue(name))
    measured = [evaluate("log=false", *more).splitlines() for more in ([], ["checkpoint=last"])]
    first, second = ([line for line in lines if line.startswith("test ")] for lines in measured)
    assert first == second
    assert len(first) == 1


@pytest.fixture
def classified_table(tmp_path, monkeypatch):
    """A run from the numbers of a table to a label."""
    (tmp_path / "patients_in_halves.py").write_text(PATIENTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERASDL_TARGETS", "patients_in_halves")
    output_dir = tmp_path / "mlruns"
    overrides = ("model=mlp", "data=diabetes", "data._target_=patients_in_halves.Halves", "trainer.epochs=2")
    config = kerasdl.compose([*overrides, f"paths.output_dir={output_dir}", "tracking.system_metrics=false"])
    return SimpleNamespace(id=kerasdl.run(config).run_id, output_dir=output_dir)


def test_classes_of_a_table_have_everything_but_the_sheet_of_images(evaluate_with, classified_table, tmp_path, capsys):
    from kerasdl.predict.__main__ import main as predict
    from kerasdl.trained import examples

    out = evaluate_with(classified_table)("log=false", f"output={tmp_path / 'output'}")
    assert "loss, accuracy: equal to the bit to those at the end of training" in out
    assert {path.name for path in (tmp_path / "output/test").iterdir()} == {
        "summary.json", "classes.csv", "predictions.csv", "confusion_matrix.png", "reliability.png",
    }  # fmt: skip
    assert "the most confident: " in out
    network = kerasdl.load(classified_table.id, output_dir=classified_table.output_dir)
    values = {name: each for name, each in examples(network.data().test).items() if name in network.signature.inputs}
    with (tmp_path / "patients.csv").open("w") as file:
        csv.writer(file).writerows([values, *zip(*(each.tolist() for each in values.values()), strict=True)])
    predict([f"run={classified_table.id}", f"paths.output_dir={classified_table.output_dir}", "log=false",
             f"input={tmp_path / 'patients.csv'}"])  # fmt: skip
    predicted = [row["class"] for row in csv.DictReader(capsys.readouterr().out.splitlines())]
    measured = [row["class"] for row in csv.DictReader((tmp_path / "output/test/predictions.csv").open())]
    assert predicted == measured
    assert [prediction.class_name for prediction in network.predict(values)] == measured


class Pictured:
    """A task that keeps what it is to draw."""

    def results(self, sums):
        return {"loss": 1.0}

    def pictures(self, evaluated):
        self.seen = evaluated
        return {}


def test_pictures_get_all_numbers_and_the_first_images_of_the_same_order():
    from kerasdl.data.features import image, number

    collector = ExampleCollector(Features({"image": image(2, 2, 1)}, {"age": number()}))
    for start in range(0, 200, 40):
        indices = np.arange(start, start + 40)[::-1]
        ages = indices.astype(np.float32)
        images = np.broadcast_to(indices.astype(np.uint8)[:, None, None, None], (40, 2, 2, 1))
        collector.add(Evaluated({}, {"image": images, "age": ages}, {"age": ages[:, None] + 1}), indices, "test")
    task = Pictured()
    found = collector.evaluation(task, {})
    assert len(task.seen.batch["image"]) == MOST_SHOWN
    assert len(task.seen.batch["age"]) == len(task.seen.outputs["age"]) == 200
    np.testing.assert_array_equal(task.seen.batch["image"][:, 0, 0, 0], task.seen.batch["age"][:MOST_SHOWN])
    assert list(found.columns) == ["index", "age", "predicted_age"]
    assert found.columns["index"] == list(range(200))
    assert found.columns["predicted_age"][:2] == ["1.0", "2.0"]


def test_an_output_that_is_not_finite_is_refused():
    from kerasdl.data.features import image

    collector = ExampleCollector(Features({"image": image(2, 2, 1)}))
    code = np.array([[0, 1], [np.inf, 1]], np.float32)
    evaluated = Evaluated({}, {"image": np.zeros((2, 2, 2, 1), np.uint8)}, {"code": code})
    with pytest.raises(UserError, match="network.s code must be finite. Received: NaN or infinity for example 8 of"):
        collector.add(evaluated, np.array([7, 8]), "test")
