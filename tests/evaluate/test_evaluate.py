"""Evaluation of a trained run: the numbers of training's end to the bit, single examples, files, other data."""

import csv
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

import kerasdl.evaluate.classification
import kerasdl.evaluate.measuring
from kerasdl import data
from kerasdl.errors import UserError
from kerasdl.training.loop import EvaluationLoop

DIGITS = tuple("0123456789")
METRICS = "task.metrics=[accuracy,top_3_accuracy,precision,recall,f1]"


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    """Composes a small experiment on digits, with batches that don't divide the split."""
    from kerasdl import compose

    folder = tmp_path_factory.mktemp("evaluate")

    def config(*overrides):
        small = ["data=digits", "model=image_classifier", "model.filters=[4,4]", "model.dense_units=8"]
        own = [f"paths.output_dir={folder}", "tracking=none", "data.evaluation_batch_size=100", METRICS]
        return compose([*small, *own, *overrides])

    return config


@pytest.fixture(scope="module")
def prepared(composed, build_task):
    """A task with its initial weights, and its data."""
    conf = composed()
    examples = data.load(conf.data, conf.seed, conf.paths.cache_dir)
    return build_task(conf, examples), examples


@pytest.fixture(scope="module")
def evaluation(prepared):
    task, examples = prepared
    return kerasdl.evaluate.measuring.evaluate(task, examples.test, DIGITS)


@pytest.mark.parametrize("overrides", [[], ["data.memory_budget=0"]], ids=["resident", "streamed"])
def test_looking_at_single_examples_changes_no_bit_of_the_sums(composed, prepared, overrides):
    conf = composed(*overrides)
    task, examples = prepared[0], data.load(conf.data, conf.seed, conf.paths.cache_dir)
    assert examples.resident != bool(overrides)
    loop = EvaluationLoop(task, examples.test, jit=False)
    sums = loop.run().sums
    *_, (seen, batch, outputs) = loop.batches()
    assert sums.keys() == seen.keys()
    for name, value in sums.items():
        np.testing.assert_array_equal(seen[name], value, err_msg=name)
    assert len(batch["label"]) == len(outputs["logits"]) == examples.test.size % 100  # the last batch is partial


def test_each_example_is_reported_as_the_handed_over_model_sees_it(prepared, evaluation):
    task, examples = prepared
    split, found = examples.test, evaluation.examples
    handle = split.epoch(0)
    batches = [split.batch(handle, step) for step in range(split.steps)]
    images, labels = (np.concatenate([batch[name] for batch in batches]) for name in ("image", "label"))
    model, _ = task.serving()
    probabilities = model.predict(images, verbose=0)
    np.testing.assert_array_equal(found.indices, np.arange(split.size))
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.predicted, probabilities.argmax(axis=1))
    np.testing.assert_allclose(found.confidences, probabilities.max(axis=1), atol=1e-6)
    true = probabilities[np.arange(split.size), labels]
    np.testing.assert_allclose(found.losses, -np.log(true), atol=1e-5)
    np.testing.assert_array_equal(found.ranks, (probabilities > true[:, None]).sum(axis=1))
    for mistake in evaluation.mistakes.found:
        np.testing.assert_array_equal(mistake.image, images[mistake.index])
        assert mistake.label == labels[mistake.index] != mistake.predicted


def test_the_tasks_own_numbers_count(evaluation):
    metrics, results, examples = evaluation.metrics, evaluation.results, evaluation.examples
    assert set(results) == {"loss", "accuracy", "top_3_accuracy", "precision", "recall", "f1"}
    assert all(metrics[name] == value for name, value in results.items())
    assert metrics["accuracy"] == examples.correct.mean()
    assert metrics["top_3_accuracy"] == (examples.ranks < 3).mean()
    assert metrics["top_1_accuracy"] <= metrics["top_3_accuracy"] <= metrics["top_5_accuracy"]
    assert metrics["nll"] == pytest.approx(metrics["loss"], abs=1e-6)
    assert 0 <= metrics["ece"] <= metrics["mce"] <= 1
    # A task that measures less leaves the rest to be worked out here.
    less = replace(evaluation, results={"loss": results["loss"]}).metrics
    assert less == pytest.approx(metrics, abs=1e-12)


def test_a_shuffled_split_is_reported_in_the_order_of_its_source(prepared):
    task, examples = prepared
    found = kerasdl.evaluate.measuring.evaluate(task, examples.train, DIGITS).examples
    assert not np.array_equal(examples.train.indices(0, 0), np.sort(examples.train.indices(0, 0)))
    assert (np.diff(found.indices) > 0).all()
    assert len(found.indices) == examples.train.size


def test_equal_logits_rank_equal():
    logits = np.array([[1, 3, 3, 0], [2, 2, 2, 2], [0, 1, 2, 3]], np.float32)
    found = kerasdl.evaluate.classification._examples(np.array([2, 3, 0]), logits, np.arange(3), "test")
    assert list(found.ranks) == [0, 0, 3]


def test_certainty_stays_a_probability():
    logits = np.array([[800, -800], [800, -800]], np.float32)
    found = kerasdl.evaluate.classification._examples(np.array([0, 1]), logits, np.arange(2), "test")
    assert (list(found.confidences), list(found.losses), list(found.brier_scores)) == ([1, 1], [0, 1600], [0, 2])


def test_logits_that_are_not_finite_are_refused():
    logits = np.array([[0, 1], [np.nan, 1], [0, np.inf]], np.float32)
    with pytest.raises(UserError, match="must be finite. Received: NaN or infinity for example 41 of test"):
        kerasdl.evaluate.classification._examples(np.zeros(3, np.int64), logits, np.array([40, 41, 42]), "test")


@pytest.fixture
def evaluate(evaluate_with, trained_run):
    return evaluate_with(trained_run)


@pytest.fixture
def kept(kept_with, trained_run):
    return kept_with(trained_run)


def test_the_test_split_gives_the_numbers_of_trainings_end(evaluate, kept, tmp_path):
    out = evaluate()
    assert "loss, accuracy: equal to the bit to those at the end of training" in out
    run, metrics, files = kept("evaluate/test", tmp_path)
    assert metrics["evaluate/test/loss"] == run.metrics["test_loss"]
    assert metrics["evaluate/test/accuracy"] == run.metrics["test_accuracy"]
    assert set(files) == {
        "summary.json",
        "classes.csv",
        "predictions.csv",
        "confusion_matrix.png",
        "reliability.png",
        "mistakes.png",
    }
    summary = json.loads(files["summary.json"].read_text())
    assert summary["equal_to_the_end_of_training"] is True
    assert {f"evaluate/test/{name}": value for name, value in summary["metrics"].items()} == metrics
    predictions = list(csv.DictReader(files["predictions.csv"].open()))
    assert len(predictions) == 360
    assert [row["index"] for row in predictions] == [str(i) for i in range(360)]
    assert np.mean([row["label"] == row["class"] for row in predictions]) == run.metrics["test_accuracy"]
    wrong = max((row for row in predictions if row["label"] != row["class"]), key=lambda row: float(row["probability"]))
    assert f"the most confident: {wrong['class']} for {wrong['label']}, with " in out
    assert f" % (example {wrong['index']})" in out
    assert files["mistakes.png"].read_bytes().startswith(b"\x89PNG")
    assert sum(int(row["support"]) for row in csv.DictReader(files["classes.csv"].open())) == 360


def test_a_difference_is_reported_wherever_the_data_is_kept(evaluate, monkeypatch):
    from kerasdl.trained import Trained

    recorded = Trained.metrics.fget
    changed = property(lambda run: recorded(run) | {"test_loss": recorded(run)["test_loss"] - 2**-40})
    monkeypatch.setattr(Trained, "metrics", changed)
    out = evaluate(f"data.data_dir={os.environ['TFDS_DATA_DIR']}", "log=false")
    assert "differs from the end of training, loss by +9.09e-13 (" in out


def test_other_data_and_other_splits_have_names_of_their_own(evaluate, kept, tmp_path):
    output = tmp_path / "output"
    out = evaluate("data.fraction=0.5", "split=test,validation", "log=false", f"output={output}")
    assert "end of training" not in out
    assert {str(path.relative_to(output)) for path in output.rglob("summary.json")} == {
        "digits/test/summary.json",
        "digits/validation/summary.json",
    }
    summary = json.loads((output / "digits/validation/summary.json").read_text())
    assert summary["equal_to_the_end_of_training"] is None
    assert summary["data"]["changed"] == ["data.fraction=0.5"]
    assert kept("evaluate/digits", tmp_path)[1:] == ({}, {})  # log=false
    code, error = evaluate.failing("log=false", f"output={output}")
    assert (code, error.count("\n")) == (1, 1)
    assert "has files already" in error


def test_a_network_without_mistakes_has_no_sheet(evaluate, monkeypatch, tmp_path):
    def perfect(labels, logits, indices, split):
        return told(labels, 10 * np.eye(10, dtype=np.float32)[labels], indices, split)

    told = kerasdl.evaluate.classification._examples
    monkeypatch.setattr(kerasdl.evaluate.classification, "_examples", perfect)
    out = evaluate("log=false", f"output={tmp_path / 'output'}")
    assert "mistakes   none, so there is no mistakes.png" in out
    assert not (tmp_path / "output/test/mistakes.png").exists()
    assert (tmp_path / "output/test/reliability.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["split=tst"], 2, "split must be one or more of test, validation, train. Received: 'tst'."),
        (["split=validation", "data.validation=0"], 1, "split must be one that digits has with these settings: test, "),
        (["data.image_size=[9,9]"], 1, "data: the network takes images of 8x8x1. Received: digits with 9x9x1."),
    ],
)
def test_a_mistake_is_reported_in_one_line(evaluate, arguments, code, message):
    found, error = evaluate.failing("log=false", *arguments)
    assert (found, error.count("\n")) == (code, 1)
    assert message in error


def test_ctrl_c_ends_it_with_nothing_kept(evaluate, kept, monkeypatch, tmp_path):
    def interrupted(*batch):
        signal.raise_signal(signal.SIGINT)
        return told(*batch)

    told = kerasdl.evaluate.classification._examples
    monkeypatch.setattr(kerasdl.evaluate.classification, "_examples", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a script runs with &
    try:
        assert evaluate.failing("split=validation", f"output={tmp_path / 'output'}") == (130, "Interrupted.\n")
    finally:
        signal.signal(signal.SIGINT, before)
    assert kept("evaluate/validation", tmp_path)[1:] == ({}, {})
    assert not (tmp_path / "output").exists()
