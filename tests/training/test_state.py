"""The state of a training holds everything that decides its next steps, for every optimizer that there is."""

import copy
import dataclasses
import functools

import keras
import pytest
import tensorflow as tf
from small_training import Training, as_file, assert_equal, differ

from kerasdl import compose, data
from kerasdl.config.composition import conf_dir
from kerasdl.errors import ResumeError
from kerasdl.training import runtime
from kerasdl.training.progress import Best

OPTIMIZERS = sorted(file.stem for file in (conf_dir() / "optimizer").glob("*.yaml"))
CONVOLUTION = "{_target_: keras.layers.Conv2D, filters: 2, kernel_size: 3, strides: 2}"
SMALL = ("data=digits", "data.batch_size=16", "tracking=none", "model=layers", f"model.layers=[{CONVOLUTION}]")
NORMALISED = (
    f"model.layers=[{CONVOLUTION},{{_target_: keras.layers.BatchNormalization}},"
    "{_target_: keras.layers.Dropout, rate: 0.3}]"
)
KERNEL = "networks/classifier/0000/kernel"
WEIGHTS_OF_THE_NETWORK = 4  # kernel and bias of the convolution and of the logits


def brighten(images, seed):
    """An augmentation that tells steps apart."""
    return images + tf.cast(seed[1] % 5, tf.float32)


@pytest.fixture(scope="module")
def composed():
    """Composes the small experiment, changed by overrides; the same ones once."""
    return functools.cache(lambda *overrides: compose([*SMALL, *overrides]))


@pytest.fixture
def training(composed, build_task):
    """Builds a training of the small experiment, changed by overrides."""

    def build(*overrides, seed=0, callbacks=()):
        conf = copy.deepcopy(composed(*overrides))
        examples = data.load(conf.data, conf.seed, conf.paths.cache_dir)
        conf.seed = seed  # of the network alone: all trainings have the same examples
        with runtime.precision_and_device(conf.trainer):
            task = build_task(conf, examples)
        task._context._augmentation = brighten
        return Training(task, examples, callbacks)

    return build


@pytest.fixture
def check_goes_on(training, tmp_path):
    """Trains, saves, restores in a training that began elsewhere, and compares how both go on."""

    def check(*overrides, prepare=lambda training: None):
        first = training(*overrides)
        prepare(first)
        saved = first.run(8)
        # Another seed: other weights and generators, so that what isn't restored shows.
        second = training(*overrides, seed=1)
        assert differ(saved, second.state.capture())
        second.state.restore(as_file(saved, tmp_path))
        assert_equal(saved, second.state.capture())
        expected = first.run(5)
        assert_equal(expected, second.run(5))
        assert {name for name in expected.arrays if name.startswith("networks/")} <= set(differ(saved, expected))
        return saved, expected

    return check


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_on_where_it_was(check_goes_on, optimizer):
    saved, _ = check_goes_on(f"optimizer={optimizer}", "optimizer.learning_rate=0.01")
    # Iterations, learning rate and, but for the plainest, memory of earlier gradients.
    assert len([name for name in saved.arrays if name.startswith("optimizers/")]) >= 2 + WEIGHTS_OF_THE_NETWORK


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_averages_and_gradients_that_are_being_accumulated_go_on(training, check_goes_on, optimizer):
    more = ("use_ema=true", "ema_momentum=0.9", "ema_overwrite_frequency=2", "gradient_accumulation_steps=3")
    saved, _ = check_goes_on(f"optimizer={optimizer}", *(f"optimizer.{key}" for key in more))
    plain = training(f"optimizer={optimizer}").state.capture()
    assert len(saved.arrays) == len(plain.arrays) + 2 * WEIGHTS_OF_THE_NETWORK


def test_the_loss_scale_goes_on(check_goes_on):
    def about_to_grow(training):
        optimizer = training.task.optimizers["classifier"]
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        optimizer.dynamic_scale.assign(128.0)
        optimizer.step_counter.assign(optimizer.dynamic_growth_steps - 10)

    saved, expected = check_goes_on("trainer.precision=mixed_float16", "optimizer=adam", prepare=about_to_grow)
    scales = [name for name, array in saved.arrays.items() if name.startswith("optimizers/") and array.size == 1]
    assert any(saved.arrays[name] == 128 and expected.arrays[name] == 256 for name in scales)


def test_bfloat16_weights_go_on(check_goes_on):
    layer = "{_target_: keras.layers.Dense, units: 4, dtype: bfloat16}"
    saved, _ = check_goes_on(f"model.layers=[{{_target_: keras.layers.Flatten}},{layer}]")
    assert "bfloat16" in {array.dtype.name for array in saved.arrays.values()}


def test_moving_averages_and_random_generators_of_layers_go_on(check_goes_on):
    saved, _ = check_goes_on(NORMALISED)
    names = " ".join(saved.arrays)
    assert "moving_mean" in names
    assert "seed_generator_state" in names


def test_without_any_one_part_training_would_go_on_differently(training):
    first, second = training(NORMALISED), training(NORMALISED, seed=1)
    fresh = second.state.capture()
    saved = first.run(8)
    expected = first.run(5)
    for lost in ("seed_generator_state", "moving_variance", "loop/step", "optimizers/classifier/0002", KERNEL):
        (name,) = [name for name in saved.arrays if lost in name]
        second.state.restore(dataclasses.replace(saved, arrays={**saved.arrays, name: fresh.arrays[name]}))
        different = differ(expected, second.run(5))
        assert name in different
        if lost != "moving_variance":  # which no step of training reads
            assert KERNEL in different


def test_a_snapshot_stays_what_it_is_while_training_goes_on(training, tmp_path):
    best_model = keras.callbacks.EarlyStopping(mode="min", restore_best_weights=True)
    first = training(NORMALISED, callbacks=[best_model])
    best_model.set_model(first.model)
    best_model.on_train_begin()
    best_model.on_epoch_end(0, {"val_loss": 1.0})
    saved = first.run(4)
    written = as_file(saved, tmp_path)
    first.run(4)
    best_model.on_epoch_end(1, {"val_loss": 0.5})
    assert_equal(written, saved)


def test_one_snapshot_can_be_gone_back_to_again_and_again(training):
    first = training(NORMALISED)
    saved = first.run(4)
    expected = first.run(5)
    for detour in (1, 7):
        first.run(detour)
        first.state.restore(saved)
        assert_equal(saved, first.state.capture())
        assert_equal(expected, first.run(5))


def test_progress_comes_back_whole(training, tmp_path):
    first, second = training(), training(seed=1)
    first.run(3)
    first.progress.end_epoch({"loss": 0.5, "val_loss": 1 / 3})
    first.run(4)
    progress = first.progress
    progress.epoch_begun, progress.validated_at, progress.rollbacks = True, 5, 2
    progress.best = Best(1 / 3, 3)
    first.model.stop_training = True
    second.run(2)
    second.state.restore(as_file(first.state.capture(), tmp_path))
    restored = second.progress
    assert (restored.epoch, restored.done, restored.step) == (1, 4, 7)
    assert (restored.epoch_begun, restored.validated_at, restored.rollbacks) == (True, 5, 2)
    assert restored.best == Best(1 / 3, 3)
    assert restored.history.epochs == {"loss": [0.5], "val_loss": [1 / 3]}
    assert list(restored.history.losses) == list(progress.history.losses)
    assert list(restored.history.learning_rates) == list(progress.history.learning_rates)
    assert (restored.epoch_tally.steps, restored.interval_tally.steps) == (4, 7)
    assert restored.epoch_tally.examples_per_second() == progress.epoch_tally.examples_per_second()
    assert second.model.stop_training is True
    assert_equal(first.run(5), second.run(5))


@pytest.mark.parametrize("steps_between", [0, 3])
def test_a_learning_rate_that_a_callback_lowered_stays_low(training, tmp_path, steps_between):
    """Also if the state is saved before the loop has run with it."""
    first, second = training(), training(seed=1)
    first.run(4)
    rate = float(first.task.optimizers["classifier"].learning_rate)
    first.task.optimizers["classifier"].learning_rate = rate / 10
    saved = first.run(steps_between) if steps_between else first.state.capture()
    second.run(2)
    second.task.optimizers["classifier"].learning_rate = 0.5
    second.state.restore(as_file(saved, tmp_path))
    assert float(second.loop.learning_rate_scale) == pytest.approx(0.1)
    assert_equal(first.run(5), second.run(5))
    assert second.progress.history.learning_rates[-1] < rate / 10


MISMATCHES = [
    ([SMALL[-1].replace("filters: 2", "filters: 4")], f"{KERNEL} had shape (3, 3, 1, 2) and now has (3, 3, 1, 4)"),
    ([NORMALISED], "networks/classifier/0002/gamma is only in this network"),
    (["model.layers=[{_target_: keras.layers.Flatten}]"], f"{KERNEL} had shape (3, 3, 1, 2) and now has (64, 10)"),
    (["optimizer.momentum=0"], "optimizers/classifier/0002 is only in the checkpoint"),
    (["optimizer.use_ema=true"], "optimizers/classifier/0006 is only in this network"),
    (["optimizer=adam"], "optimizers/classifier/0003 had shape (2,) and now has (3, 3, 1, 2)"),
]


def test_another_network_or_optimizer_is_refused_and_nothing_changed(training):
    saved = training().run(3)
    for overrides, difference in MISMATCHES:
        other = training(*overrides)
        before = other.state.capture()
        with pytest.raises(ResumeError) as caught:
            other.state.restore(saved)
        message = str(caught.value)
        assert message.startswith("the checkpoint is of another network, optimizer or set of callbacks: ")
        assert difference in message
        assert "resume=never" in message
        assert "\n" not in message
        assert_equal(before, other.state.capture())


def as_written_by_earlier_versions(snapshot):
    """Returns a snapshot under the names that it had when there was one network and one optimizer."""

    def renamed(name):
        return name.replace("networks/classifier/", "model/").replace("optimizers/classifier/", "optimizer/")

    values = copy.deepcopy(snapshot.values)
    values["optimizer"] = values.pop("optimizers")["classifier"]
    arrays = {renamed(name): array for name, array in snapshot.arrays.items()}
    return dataclasses.replace(snapshot, arrays=arrays, values=values, finite=tuple(map(renamed, snapshot.finite)))


def test_a_checkpoint_of_an_earlier_version_is_gone_back_to(training, tmp_path):
    first, second = training(), training(seed=1)
    saved = first.run(4)
    former = as_file(as_written_by_earlier_versions(saved), tmp_path)
    assert {name.split("/")[0] for name in former.arrays} >= {"model", "optimizer"}
    second.state.restore(former)
    assert_equal(saved, second.state.capture())
    assert_equal(first.run(5), second.run(5))


def test_one_of_an_earlier_version_of_another_network_or_optimizer_is_refused_too(training):
    former = as_written_by_earlier_versions(training().run(2))
    for override, difference in (
        ("optimizer.momentum=0", "optimizers/classifier/0002 is only in the checkpoint"),
        (NORMALISED, "networks/classifier/0002/gamma is only in this network"),
    ):
        with pytest.raises(ResumeError, match=difference):
            training(override).state.restore(former)
    adam = as_written_by_earlier_versions(training("optimizer=adam").run(2))
    with pytest.raises(ResumeError, match="the optimizer was Adam and is now AdamW"):
        training("optimizer=adamw").state.restore(adam)


def test_other_callbacks_are_refused_and_nothing_changed(training):
    def some(*names):
        return [getattr(keras.callbacks, name)(mode="min") for name in names]

    saved = training(callbacks=some("EarlyStopping", "ReduceLROnPlateau")).run(2)
    for names, here in (
        (["ReduceLROnPlateau", "EarlyStopping"], "ReduceLROnPlateau, EarlyStopping"),
        (["EarlyStopping"], "EarlyStopping"),
        ([], "none"),
    ):
        other = training(callbacks=some(*names))
        before = other.state.capture()
        with pytest.raises(ResumeError, match=f"callbacks were EarlyStopping, ReduceLROnPlateau and are now {here}"):
            other.state.restore(saved)
        assert_equal(before, other.state.capture())


def test_an_optimizer_with_variables_of_the_same_shapes_is_told_apart(training):
    saved = training("optimizer=adam").run(2)
    other = training("optimizer=adamw")
    with pytest.raises(ResumeError, match="the optimizer was Adam and is now AdamW"):
        other.state.restore(saved)
