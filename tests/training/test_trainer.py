"""Training as the command line runs it: callbacks, validation, EMA, interrupts, NaN, debug presets."""

import signal
import threading

import keras
import numpy as np
import pytest

from kerasdl import experiment, run
from kerasdl.errors import ConfigError, TrainingError
from kerasdl.training.callbacks import BestModel, hooks_batches
from kerasdl.training.calls import CallLength


def test_it_learns_the_digits(config):
    result = run(config("optimizer=adam", "optimizer.learning_rate=0.003", "trainer.epochs=6"))
    assert result.metrics["test_accuracy"] > 0.93
    assert set(result.history) >= {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert all(len(values) == 6 for values in result.history.values())
    assert result.run_id is None


def test_the_same_seed_gives_the_same_bits_and_another_does_not(config):
    first, again, other = (run(config("model.dropout=0.5", f"seed={seed}")) for seed in (3, 3, 4))
    assert first.history["loss"] == again.history["loss"]
    assert first.metrics["test_loss"] == again.metrics["test_loss"] != other.metrics["test_loss"]
    assert first.config_hash == again.config_hash != other.config_hash


def test_early_stopping_ends_training_and_restores_the_best_weights(config):
    result = run(config("callbacks=early_stopping", "callbacks.early_stopping.patience=2", "trainer.epochs=40",
                        "callbacks.early_stopping.min_delta=1.0"))  # fmt: skip
    assert len(result.history["loss"]) < 40


def test_reduce_on_plateau_lowers_the_rate_of_later_epochs(config):
    overrides = ["patience=1", "min_delta=100", "factor=0.5"]
    result = run(config("callbacks=reduce_on_plateau", "trainer.epochs=4", "optimizer.learning_rate=0.01",
                        *(f"callbacks.reduce_on_plateau.{item}" for item in overrides)))  # fmt: skip
    assert result.history["learning_rate"] == pytest.approx([0.01, 0.01, 0.005, 0.0025])


def test_best_model_ends_with_the_best_epochs_weights(config):
    conf = config("callbacks=best_model", "trainer.epochs=4", "optimizer.learning_rate=1.5")
    result = run(conf)
    worst, best = min(result.history["val_accuracy"]), max(result.history["val_accuracy"])
    assert best > worst
    from kerasdl import data

    split = data.load(conf.data, conf.seed, conf.paths.cache_dir).validation
    images, labels = split.batch(split.epoch(0), 0)
    accuracy = np.mean(np.argmax(result.model.predict(images, verbose=0), axis=-1) == labels)
    assert accuracy == pytest.approx(best)


def test_a_metric_that_is_not_there_is_named(config):
    with pytest.raises(ConfigError, match="no metric 'val_f1'. Known: accuracy, "):
        run(config("callbacks=best_model", "callbacks.best_model.monitor=val_f1"))


def test_batch_hooks_are_called_for_every_batch_only_if_there_are_any(config, monkeypatch):
    class Counter(keras.callbacks.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            Counter.batches += 1
            assert logs["loss"] > 0

    assert hooks_batches([Counter()])
    assert hooks_batches([keras.callbacks.TensorBoard()])
    assert not hooks_batches([BestModel(), keras.callbacks.EarlyStopping(), keras.callbacks.ReduceLROnPlateau()])
    assert not hooks_batches([keras.callbacks.ModelCheckpoint("model.keras")])
    monkeypatch.setattr("kerasdl.training.callbacks.Counter", Counter, raising=False)
    monkeypatch.setattr(Counter, "__module__", "kerasdl.training.callbacks")
    run(config("+callbacks.counter={_target_: kerasdl.training.callbacks.Counter}"))
    assert Counter.batches == 2 * 41


def test_ema_is_what_is_evaluated_and_handed_over(config):
    plain = run(config("optimizer.learning_rate=0.05"))
    averaged = run(config("optimizer.learning_rate=0.05", "optimizer.use_ema=true", "optimizer.ema_momentum=0.9"))
    assert averaged.history["loss"] == plain.history["loss"]  # training itself goes on with the plain weights
    assert averaged.metrics["val_loss"] != plain.metrics["val_loss"]
    assert averaged.metrics["test_loss"] != plain.metrics["test_loss"]


def test_ctrl_c_ends_training_after_the_call(config, capsys):
    timer = threading.Timer(0, lambda: None)

    class Interrupt:
        def on_call(self, epoch, step, metrics):
            if epoch == 1:
                signal.raise_signal(signal.SIGINT)

        def on_interval(self, *_): ...

        def on_epoch(self, *_): ...

    before = signal.getsignal(signal.SIGINT)
    original = experiment.build_trainer

    def with_interrupt(*args):
        trainer = original(*args)
        trainer._listeners = [*trainer._listeners, Interrupt()]
        return trainer

    experiment.build_trainer = with_interrupt
    try:
        result = run(config("trainer.epochs=50"))
    finally:
        experiment.build_trainer = original
        timer.cancel()
    assert result.status == "KILLED"
    assert len(result.history["loss"]) == 1
    assert "test_loss" not in result.metrics
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_names_the_step(config):
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d+ \(epoch 1, batch \d+ of 41"):
        run(config("optimizer.learning_rate=1e30", "model.activation=linear"))


def test_overfitting_ten_batches_reaches_almost_all_of_them(config):
    result = run(config("debug=overfit", "trainer.epochs=30", "optimizer=adam", "optimizer.learning_rate=0.003"))
    assert result.metrics["val_accuracy"] > 0.98


def test_one_batch_trains_and_tests_on_one_batch(config):
    result = run(config("debug=one_batch", "trainer.epochs=1", "data.evaluation_batch_size=100"))
    assert len(result.history["loss"]) == 1
    assert result.metrics["test_accuracy"] * 100 == pytest.approx(round(result.metrics["test_accuracy"] * 100))


def test_nan_hunt_names_the_operation(config):
    with pytest.raises(TrainingError, match=r"(NaN|Inf).* in the output of while/\S+.*, made at .* \(L\d+\)"):
        run(config("debug=nan", "optimizer.learning_rate=1e30", "model.activation=linear"))


def test_profile_leaves_a_trace(config, tmp_path):
    run(config("debug=profile", "trainer.profile=[5,10]"))
    assert list((tmp_path / "mlruns" / "profiles").rglob("*.xplane.pb"))


def test_calls_grow_to_half_a_second_and_never_pass_the_end():
    calls = CallLength("auto")
    assert calls.next(1000) == 1
    calls.record(1, 9.0)
    assert calls.next(1000) == 10
    calls.record(10, 0.05)
    assert calls.next(1000) == 100
    assert calls.next(30) == 30
    assert CallLength(7).next(1000) == 7
