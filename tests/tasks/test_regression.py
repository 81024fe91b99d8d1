"""Regression on a table: metrics against scikit-learn, learning, resume to the bit, and what is handed over."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

import kerasdl
from kerasdl import compose, data, run
from kerasdl.data.preprocessing import fit
from kerasdl.errors import DataError
from kerasdl.tasks.context import TaskContext
from kerasdl.tasks.regression import Regression
from kerasdl.training.loop import EvaluationLoop

WORDS = ("data=diabetes", "task=regression", "model=mlp", "trainer.epochs=4", "tracking.system_metrics=false")


@pytest.fixture
def composed(tmp_path):
    return lambda *words: compose([*WORDS, f"paths.output_dir={tmp_path}/mlruns", *words])


@pytest.fixture
def parts(composed):
    """A task before its first step, and its data."""
    config = composed("task.metrics=[mse,rmse,mae,r2]")
    examples = data.load(config.data, 0, config.paths.cache_dir)
    features = examples.info.features
    context = TaskContext(config, features, fit(features, examples.train), examples.train)
    return Regression(context, metrics=list(config.task.metrics)), examples


def test_metrics_are_scikit_learn_s_in_the_target_s_unit(parts):
    task, examples = parts
    loop = EvaluationLoop(task, examples.test, jit=False)
    found = list(loop.batches())
    target = np.concatenate([each.batch["progression"] for each in found])
    prediction = np.concatenate([each.outputs["prediction"] for each in found])
    results = task.results(loop.run().sums)
    assert results["mse"] == pytest.approx(metrics.mean_squared_error(target, prediction), rel=1e-5)
    assert results["rmse"] == pytest.approx(metrics.root_mean_squared_error(target, prediction), rel=1e-5)
    assert results["mae"] == pytest.approx(metrics.mean_absolute_error(target, prediction), rel=1e-5)
    assert results["r2"] == pytest.approx(metrics.r2_score(target, prediction), abs=1e-5)


def test_the_model_that_is_handed_over_predicts_in_the_target_s_unit(parts):
    task, examples = parts
    model, signature = task.serving()
    batch = examples.test.batch(examples.test.epoch(0), 0)
    _, outputs = task.evaluation_step(batch)
    given = model({name: batch[name] for name in signature.inputs})
    assert given.shape == (examples.test.size, 1)
    np.testing.assert_allclose(given.numpy()[:, 0], outputs["prediction"].numpy(), rtol=1e-5)
    assert signature.describe() == "10 numbers -> number"


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mean_squared_error", lambda errors: errors**2),
        ("mean_absolute_error", np.abs),
        ("huber", lambda errors: np.where(abs(errors) <= 1, errors**2 / 2, abs(errors) - 0.5)),
    ],
)
def test_losses_are_of_the_standardised_target(parts, loss, expected):
    task, examples = parts
    task = Regression(task._context, loss=loss)
    batch = examples.test.batch(examples.test.epoch(0), 0)
    statistics, outputs = task.evaluation_step(batch)
    scale = task._context.fitted["progression"]
    errors = (outputs["prediction"].numpy() - batch["progression"].numpy()) / scale.std
    assert float(statistics["loss"] / statistics["count"]) == pytest.approx(expected(errors).mean(), rel=1e-4)


def test_padding_counts_for_nothing(parts):
    task, examples = parts
    batch = examples.test.batch(examples.test.epoch(0), 0)
    statistics, _ = task.evaluation_step(batch)
    padded = {name: tf.concat([values, values[:3] + 1000], axis=0) for name, values in batch.items()}
    padded["mask"] = tf.concat([tf.ones(examples.test.size), tf.zeros(3)], axis=0)
    again, _ = task.evaluation_step(padded)
    for name, value in statistics.items():
        assert float(again[name]) == pytest.approx(float(value), rel=1e-5)


def test_it_learns_resumes_to_the_bit_and_is_opened_again(composed, tmp_path):
    whole = run(composed())
    assert whole.metrics["test_r2"] > 0.3
    assert whole.history["loss"][-1] < whole.history["loss"][0]
    stopped = run(composed("resume=never"), should_prune=lambda epoch, step, metrics: epoch == 2)
    assert stopped.status == "PRUNED"
    resumed = run(compose([f"resume={stopped.resume_id}", f"paths.output_dir={tmp_path}/mlruns"]))
    assert (resumed.weights, resumed.metrics["test_mse"]) == (whole.weights, whole.metrics["test_mse"])

    network = kerasdl.load(whole.run_id, output_dir=tmp_path / "mlruns")
    examples = network.data()
    task = network.task(examples.info.features)
    results = task.results(EvaluationLoop(task, examples.test, jit=False).run().sums)
    assert {f"test_{name}": value for name, value in results.items()}.items() <= whole.metrics.items()
    checkpoint = kerasdl.load(whole.run_id, output_dir=tmp_path / "mlruns", checkpoint="last")
    row = {name: examples.test.column(name)[:1] for name in network.signature.inputs}
    assert np.array_equal(checkpoint.model(row), network.model(row))


def test_data_without_a_number_is_refused(composed):
    with pytest.raises(DataError, match=r"task=regression needs data with one number as its target. Received: digits"):
        run(composed("data=digits", "tracking=none"))


def test_a_table_can_be_classified_by_no_label_either(composed):
    with pytest.raises(DataError, match=r"task=classification needs data with one class label per example."):
        run(composed("task=classification", "tracking=none"))
