"""A run's last numbers are those of the model that it hands over, also when a callback put earlier weights back."""

import signal

import keras
import numpy as np
import pytest

from kerasdl import run, tracking
from kerasdl.evaluate.measuring import evaluate
from kerasdl.experiment import running
from kerasdl.runs import folders
from kerasdl.tracking import history, lookup

COURSE = ("learning_rate", "examples_per_second", "seconds")
UNSTEADY = ("optimizer.learning_rate=1.5", "model.filters=[8]", "model.kernel_sizes=[3]", "trainer.epochs=4")
BEST_MODEL = ("callbacks=best_model", *UNSTEADY)


def epoch_of(history, epoch):
    return {name: values[epoch] for name, values in history.items() if name not in COURSE}


def without_test(metrics):
    return {name: value for name, value in metrics.items() if name not in COURSE and not name.startswith("test_")}


@pytest.mark.parametrize(
    "more", [[], ["optimizer.use_ema=true", "optimizer.ema_momentum=0.5"]], ids=["own", "averaged"]
)
def test_best_models_metrics_are_those_of_its_epoch(config, more):
    conf = config(*BEST_MODEL, *more)
    result = run(conf)
    accuracies = result.history["val_accuracy"]
    best = accuracies.index(max(accuracies))
    assert best < len(accuracies) - 1
    assert without_test(result.metrics) == epoch_of(result.history, best)
    assert result.metrics["learning_rate"] == result.history["learning_rate"][-1]
    (folder,) = folders(conf.paths.output_dir)
    assert folder.record.metrics["val_accuracy"] == max(accuracies)


EARLY = ("callbacks=early_stopping", "callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=100",
         "trainer.epochs=4")  # fmt: skip


@pytest.mark.parametrize("more", [[], ["data.validation=0", "callbacks.early_stopping.monitor=loss"]])
def test_early_stopping_also_without_validation_and_resumed(config, more):
    first = run(config(*EARLY, *more))
    assert len(first.history["loss"]) == 2  # the first one is the best
    assert without_test(first.metrics) == epoch_of(first.history, 0)
    again = run(config(*EARLY, *more, "trainer.epochs=9", f"resume={first.resume_id}"))
    assert again.metrics == first.metrics | {"test_loss": again.metrics["test_loss"]}


class Halved(keras.callbacks.Callback):
    """Ends training with weights that no epoch has measured."""

    def on_train_end(self, logs=None):
        self.model.set_weights([weight / 2 for weight in self.model.get_weights()])


@pytest.fixture
def halving(monkeypatch):
    monkeypatch.setattr("kerasdl.training.callbacks.Halved", Halved, raising=False)
    monkeypatch.setattr(Halved, "__module__", "kerasdl.training.callbacks")
    return "+callbacks.halved={_target_: kerasdl.callbacks.halved}"


def test_weights_that_no_epoch_measured_are_measured(config, halving, monkeypatch):
    made = []
    conclude = running._conclude
    monkeypatch.setattr(running, "_conclude", lambda *args: (made.append(args[0]), conclude(*args))[1])
    result = run(config(halving))
    own = evaluate(made[0].task, made[0].data.validation, made[0].task.serving()[1].class_names).results
    assert own["loss"] != result.history["val_loss"][-1]
    assert {name: result.metrics[f"val_{name}"] for name in own} == own
    assert result.metrics["loss"] == result.history["loss"][-1]


def test_a_signal_while_they_are_measured_stops_the_run_which_can_be_resumed(config, halving, monkeypatch):
    from kerasdl.training.loop import EvaluationLoop

    whole = run(config(halving))
    evaluation, calls = EvaluationLoop.run, []

    def stopped(self, stop):
        calls.append(self)
        if len(calls) == 3:  # after those of two epochs
            signal.raise_signal(signal.SIGTERM)
        return evaluation(self, stop)

    with monkeypatch.context() as patch:
        patch.setattr(EvaluationLoop, "run", stopped)
        cut = run(config(halving))
    assert (cut.status, cut.interrupted) == ("KILLED", "SIGTERM")
    assert without_test(cut.metrics) == epoch_of(cut.history, -1)
    resumed = run(config(halving, f"resume={cut.resume_id}"))
    assert resumed.status == "FINISHED"
    assert without_test(resumed.metrics) == without_test(whole.metrics)
    assert resumed.metrics["test_loss"] == whole.metrics["test_loss"]


def test_a_pruned_run_keeps_the_numbers_that_it_was_pruned_by(config):
    result = run(config(*BEST_MODEL), should_prune=lambda epoch, step, metrics: epoch == 3)
    assert result.status == "PRUNED"
    assert without_test(result.metrics) == epoch_of(result.history, -1)


class Stopped(BaseException):
    """Ends a run after its last numbers, as abruptly as one process can."""


def test_mlflow_has_them_last_and_once_and_keeps_the_epochs_curve(config, monkeypatch):
    overrides = (*BEST_MODEL, "tracking.system_metrics=false")

    def stop(*_):
        raise Stopped

    monkeypatch.setattr(running, "_test", stop)
    with pytest.raises(Stopped):
        run(config(*overrides, tracking="mlflow"))
    monkeypatch.undo()
    conf = config(*overrides, "resume=auto", tracking="mlflow")
    result = run(conf)
    accuracies = result.history["val_accuracy"]
    best = accuracies.index(max(accuracies))
    assert best < 3
    found = lookup.find(conf, "best", metric="val_accuracy")
    assert found.run.id == result.run_id
    assert without_test(found.run.metrics).items() >= epoch_of(result.history, best).items()
    points = tracking.open_store(conf).get_metric_history(result.run_id, "val_loss")
    assert sorted(point.value for point in points) == sorted(
        [*result.history["val_loss"], result.history["val_loss"][best]]
    )
    assert [point.step for point in points].count(4 * 41) == 2
    curve = history.read_history(found).histories["val_loss"]
    assert [value for _, value in curve] == result.history["val_loss"]
    # Prolonged, and ended with another epoch's weights, or the same.
    longer = config(*overrides, "trainer.epochs=6", f"resume={result.run_id}", tracking="mlflow")
    prolonged = run(longer)
    found = lookup.find(longer, "last")
    for name in ("val_loss", "val_accuracy", "loss"):
        assert found.run.metrics[name] == prolonged.metrics[name]
    curve = history.read_history(found).histories["val_loss"]
    assert [value for _, value in curve] == prolonged.history["val_loss"]
    np.testing.assert_equal(prolonged.metrics["val_accuracy"], max(prolonged.history["val_accuracy"]))
