"""Training as the command line runs it: callbacks, validation, EMA, interrupts, NaN, debug presets."""

import signal

import keras
import numpy as np
import pytest

from kerasdl import data, run
from kerasdl.errors import ConfigError, TrainingError
from kerasdl.experiment import running
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


def measure_on_validation(model, conf):
    """Loss and accuracy of a handed-over model on the validation split, computed by hand."""
    split = data.load(conf.data, conf.seed, conf.paths.cache_dir).validation
    batch = split.batch(split.epoch(0), 0)
    labels = batch["label"].numpy()
    probabilities = model.predict(batch["image"], verbose=0)
    loss = -np.mean(np.log(probabilities[np.arange(len(labels)), labels]))
    return loss, np.mean(np.argmax(probabilities, axis=-1) == labels)


def test_early_stopping_ends_training_and_restores_the_best_weights(config):
    conf = config("callbacks=early_stopping", "callbacks.early_stopping.monitor=val_accuracy", "trainer.epochs=40",
                  "callbacks.early_stopping.mode=max", "callbacks.early_stopping.patience=2",
                  "optimizer.learning_rate=0.2")  # fmt: skip
    result = run(conf)
    accuracies, losses = result.history["val_accuracy"], result.history["val_loss"]
    best = int(np.argmax(accuracies))
    assert len(accuracies) == best + 3 < 40
    assert losses[best] != pytest.approx(losses[-1], rel=1e-4)
    loss, accuracy = measure_on_validation(result.model, conf)
    assert loss == pytest.approx(losses[best], rel=1e-4)
    assert accuracy == pytest.approx(accuracies[best])


def test_reduce_on_plateau_lowers_the_rate_of_later_epochs(config):
    overrides = ["patience=1", "min_delta=100", "factor=0.5"]
    result = run(config("callbacks=reduce_on_plateau", "trainer.epochs=4", "optimizer.learning_rate=0.01",
                        *(f"callbacks.reduce_on_plateau.{item}" for item in overrides)))  # fmt: skip
    assert result.history["learning_rate"] == pytest.approx([0.01, 0.01, 0.005, 0.0025])


def test_best_model_ends_with_the_best_epochs_weights(config):
    conf = config("callbacks=best_model", "trainer.epochs=4", "optimizer.learning_rate=1.5")
    result = run(conf)
    accuracies = result.history["val_accuracy"]
    assert max(accuracies) > accuracies[-1]
    assert measure_on_validation(result.model, conf)[1] == pytest.approx(max(accuracies))


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
    run(config("+callbacks.counter={_target_: kerasdl.callbacks.counter}"))
    assert Counter.batches == 2 * 41


def test_ema_is_what_is_evaluated_and_handed_over(config):
    momentum, weights = 0.9, []
    conf = config("data.validation=0.2", "optimizer.learning_rate=0.05", "optimizer.use_ema=true",
                  f"optimizer.ema_momentum={momentum}", "trainer.epochs=1", "trainer.steps_per_call=1")  # fmt: skip
    build = running.build_task

    def watched(*args):
        task, fitted = build(*args)
        weights.append([weight.numpy() for weight in task.network.trainable_weights])
        (optimizer,) = task.optimizers.values()
        step = optimizer.apply

        def apply(gradients, variables):
            step(gradients, variables)
            import tensorflow as tf

            tf.py_function(lambda *values: weights.append([value.numpy() for value in values]), list(variables), [])

        optimizer.apply = apply
        return task, fitted

    running.build_task = watched
    try:
        result = run(conf)
    finally:
        running.build_task = build
    # Keras starts the average at the weights behind the first step.
    averages = [w.astype(np.float64) for w in weights[1]]
    for step in weights[2:]:
        averages = [
            momentum * average + (1 - momentum) * weight for average, weight in zip(averages, step, strict=True)
        ]
    handed_over = result.model.trainable_weights
    assert len(weights) == 1 + len(result.history["loss"]) * 36
    for average, weight, last in zip(averages, handed_over, weights[-1], strict=True):
        np.testing.assert_allclose(weight, average, atol=1e-5)
        assert not np.allclose(weight, last, atol=1e-5)
    loss, accuracy = measure_on_validation(result.model, conf)
    assert loss == pytest.approx(result.history["val_loss"][-1], rel=1e-4)
    assert accuracy == pytest.approx(result.history["val_accuracy"][-1])


@pytest.mark.parametrize("when", ["training", "validation"])
def test_ctrl_c_ends_training_after_the_call(config, capsys, monkeypatch, when):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            self.interrupt("training", batch == 3)

        def on_test_begin(self, logs=None):
            self.interrupt("validation", True)

        def interrupt(self, place, now):
            if self.epoch == 1 and place == when and now:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("kerasdl.training.callbacks.Interrupt", Interrupt, raising=False)
    monkeypatch.setattr(Interrupt, "__module__", "kerasdl.training.callbacks")
    before = signal.getsignal(signal.SIGINT)
    result = run(config("+callbacks.interrupt={_target_: kerasdl.callbacks.interrupt}"))
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


def test_a_fraction_of_every_split(config):
    whole, part = (data.load(conf.data, 0, conf.paths.cache_dir) for conf in (config(), config("debug=fraction")))
    for name in ("train", "validation", "test"):
        assert getattr(part, name).size == pytest.approx(0.05 * getattr(whole, name).size, abs=1)


def test_streamed_data_trains_to_the_same_bits_as_resident(config):
    resident, streamed = (run(config("data.shuffle=false", *more)) for more in ([], ["data.memory_budget=0"]))
    assert resident.history["loss"] == streamed.history["loss"]
    assert resident.metrics["test_loss"] == streamed.metrics["test_loss"]


def test_a_gpu_that_is_not_there_is_told(config):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="trainer.device=gpu, but TensorFlow sees no GPU"):
        run(config("trainer.device=gpu"))


def test_threads_cannot_change_within_a_process(config):
    run(config("trainer.epochs=1"))
    with pytest.raises(ConfigError, match="Start a new process"):
        run(config("trainer.threads=1"))


def test_a_notebooks_own_random_numbers_and_precision_stay(config):
    import random

    random.seed(1)
    expected = random.random()
    random.seed(1)
    run(config("trainer.epochs=1", "trainer.precision=mixed_bfloat16"))
    assert random.random() == expected
    assert keras.config.dtype_policy().name == "float32"


def test_tensorboard_gets_its_curves_or_is_asked_for(config, tmp_path, monkeypatch):
    overrides = ["callbacks=tensorboard", f"callbacks.tensorboard.log_dir={tmp_path / 'logs'}", "trainer.epochs=1"]
    run(config(*overrides))
    assert list((tmp_path / "logs").rglob("events.out.tfevents.*"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs TensorBoard. Install it: pip install tensorboard"):
        run(config(*overrides))
