"""The compiled loop: calls of any length, learning rates, NaN, the last partial batch, XLA."""

import keras
import numpy as np
import pytest

from kerasdl import data
from kerasdl.data.preprocessing import normalization
from kerasdl.training.loop import EvaluationLoop, TrainingLoop
from kerasdl.training.schedules import Constant, Cosine

SIZES = {"steps_per_epoch": 41, "total_steps": 82}


@pytest.fixture
def prepare(config, build_task):
    """Returns (task, data, loop) for overrides of the small experiment."""

    def prepared(*overrides, schedule=None, augmentation=None, jit=False):
        conf = config(*overrides)
        examples = data.load(conf.data, conf.seed, conf.paths.cache_dir)
        task = build_task(conf, examples, jit)
        if augmentation:
            task._context._augmentation = augmentation
        loop = TrainingLoop(task, examples.train, schedule or Constant(**SIZES), jit)
        return task, examples, loop

    return prepared


def weights(task):
    return np.concatenate([weight.ravel() for weight in task.network.get_weights()])


def test_cutting_an_epoch_into_calls_changes_nothing(prepare):
    results = []
    for lengths in ([41], [1, 7, 13, 20], [1] * 41):
        task, examples, loop = prepare("model.dropout=0.5")
        handle, first, losses = examples.train.epoch(0), 0, []
        for count in lengths:
            losses.append(loop.run(handle, first, count).losses)
            first += count
        results.append((np.concatenate(losses), weights(task)))
    for losses, final in results[1:]:
        np.testing.assert_array_equal(losses, results[0][0])
        np.testing.assert_array_equal(final, results[0][1])


def test_every_example_of_an_epoch_counts_once(prepare):
    task, examples, loop = prepare()
    assert examples.train.size % examples.train.batch_size  # the last batch is partial
    steps = loop.run(examples.train.epoch(0), 0, examples.train.steps)
    assert steps.totals[0]["count"] == examples.train.size
    sums = EvaluationLoop(task, examples.test, jit=False).run().sums
    assert sums["count"] == examples.test.size
    np.testing.assert_array_equal(sums["confusion"].sum(axis=1), np.bincount(examples.test.column("label")))


def test_evaluation_equals_keras_evaluate(prepare, config):
    task, examples, loop = prepare("data.evaluation_batch_size=100")
    loop.run(examples.train.epoch(0), 0, 41)
    results = task.results(EvaluationLoop(task, examples.test, jit=False).run().sums)
    batches = [examples.test.batch(examples.test.epoch(0), step) for step in range(examples.test.steps)]
    scale = normalization(config().data.normalization)
    images = np.concatenate([scale(batch["image"]) for batch in batches])
    labels = np.concatenate([batch["label"] for batch in batches])
    task.network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    loss, accuracy = task.network.evaluate(images, labels, verbose=0)
    assert results["loss"] == pytest.approx(loss, abs=1e-5)
    assert results["accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_each_step_uses_and_reports_its_learning_rate(prepare):
    task, examples, loop = prepare("optimizer.learning_rate=0.1", schedule=Cosine(final=0.1, warmup=0.5, **SIZES))
    steps = loop.run(examples.train.epoch(0), 0, 41)
    np.testing.assert_allclose(steps.learning_rates[:21], 0.1 * np.arange(1, 22) / 21, rtol=1e-6)
    assert (np.diff(steps.learning_rates[21:]) < 0).all()
    assert float(task.optimizers["classifier"].learning_rate) == steps.learning_rates[-1]


def test_a_callbacks_learning_rate_scales_the_schedule(prepare):
    task, examples, loop = prepare("optimizer.learning_rate=0.1")
    handle = examples.train.epoch(0)
    loop.run(handle, 0, 5)
    task.optimizers["classifier"].learning_rate = 0.01  # what ReduceLROnPlateau does
    assert loop.run(handle, 5, 5).learning_rates == pytest.approx([0.01] * 5)
    assert loop.run(handle, 10, 5).learning_rates == pytest.approx([0.01] * 5)


def test_the_loop_stops_behind_the_first_loss_that_is_not_finite(prepare):
    task, examples, loop = prepare()
    handle = examples.train.epoch(0)
    loop.run(handle, 0, 3)
    kernel = task.network.get_layer("logits").kernel
    kernel.assign(kernel * np.nan)
    steps = loop.run(handle, 3, 20)
    assert len(steps.losses) == 1
    assert np.isnan(steps.losses[0])
    assert int(loop.step) == 4


def test_augmentation_sees_each_step_with_its_own_seed(prepare):
    seen = []

    def augmentation(images, seed):
        import tensorflow as tf

        tf.py_function(lambda s: seen.append(tuple(s.numpy())), [seed], [])
        return images

    _, examples, loop = prepare(augmentation=augmentation)
    loop.run(examples.train.epoch(0), 0, 3)
    assert len({first for first, _ in seen}) == 1
    assert [step for _, step in seen] == [0, 1, 2]


def test_xla_gives_the_same_training(prepare):
    from tensorflow.python.framework import config as framework

    framework.disable_op_determinism()  # an earlier test's run; XLA has no deterministic gradient of max pooling
    losses = []
    for jit in (False, True):
        _, examples, loop = prepare("model.filters=[4,4]", "model.dense_units=8", jit=jit)
        losses.append(loop.run(examples.train.epoch(0), 0, 41).losses)
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)


def test_one_trace_serves_calls_of_every_length(prepare):
    _, examples, loop = prepare()
    for epoch, (first, count) in enumerate([(0, 1), (1, 10), (11, 30)]):
        loop.run(examples.train.epoch(epoch), first, count)
    assert loop._call.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_with_float32_weights(config, build_task, precision):
    from kerasdl.training import runtime

    conf = config(f"trainer.precision={precision}", "optimizer.learning_rate=0.1")  # SGD notices a wrong scale
    examples = data.load(conf.data, conf.seed, conf.paths.cache_dir)
    with runtime.precision_and_device(conf.trainer):
        task = build_task(conf, examples)
        loop = TrainingLoop(task, examples.train, Constant(**SIZES), jit=False)
        losses = np.concatenate([loop.run(examples.train.epoch(epoch), 0, 41).losses for epoch in range(4)])
    assert losses[-10:].mean() < 0.5 * losses[:10].mean()
    assert {weight.dtype for weight in task.network.trainable_weights} == {"float32"}
    assert task.network.get_layer("dense").compute_dtype == precision.removeprefix("mixed_")
    assert isinstance(task.optimizers["classifier"], keras.optimizers.LossScaleOptimizer) == (
        precision == "mixed_float16"
    )
    assert keras.config.dtype_policy().name == "float32"
