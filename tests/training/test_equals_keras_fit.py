"""The compiled loop against Keras's own `fit`, on the same batches from the same weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl import data
from kerasdl.data.preprocessing import normalization
from kerasdl.training.loop import TrainingLoop
from kerasdl.training.schedules import Constant

STEPS = 50


class LossOfEachStep(keras.callbacks.Callback):
    """Keras logs means over the epoch so far; starting the mean anew at each batch gives that batch's own."""

    def on_train_begin(self, logs=None):
        self.losses, self.accuracies = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])
        self.accuracies.append(logs["accuracy"])


def train_with_keras(task, split, scale, loss, class_weight):
    """Trains a copy of the task's network with `fit` on the very batches that the loop will see."""
    network = keras.models.clone_model(task.network)
    network.set_weights(task.network.get_weights())
    for own, theirs in zip(network.variables, task.network.variables, strict=True):
        own.assign(theirs)
    own_optimizer = task.optimizers["classifier"]
    optimizer = type(own_optimizer).from_config(own_optimizer.get_config())
    network.compile(optimizer, loss, metrics=["accuracy"])
    handle = split.epoch(0)
    batches = [split.batch(handle, step) for step in range(STEPS)]
    watch = LossOfEachStep()
    assert {len(batch["image"]) for batch in batches} == {split.batch_size}
    images = np.concatenate([scale(batch["image"]) for batch in batches])
    labels = np.concatenate([batch["label"] for batch in batches])
    network.fit(
        images, labels, split.batch_size, shuffle=False, verbose=0, callbacks=[watch], class_weight=class_weight
    )
    return network, watch


@pytest.mark.parametrize(
    ("overrides", "loss", "class_weight"),
    [
        ([], keras.losses.SparseCategoricalCrossentropy(from_logits=True), None),
        (
            ["optimizer=adam", "model.kernel_regularizer=l2", "model.dropout=0.3", "model.channel_dropout=0.2"],
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            None,
        ),
        (
            ["optimizer=adamw", "optimizer.global_clipnorm=0.5", "optimizer.gradient_accumulation_steps=3",
             "task.class_weights=[1,2,1,1,1,1,1,1,1,3]"],
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            {digit: {1: 2.0, 9: 3.0}.get(digit, 1.0) for digit in range(10)},
        ),
    ],
    ids=["classic", "dropout-regularizer", "clipping-accumulation-class-weights"],
)  # fmt: skip
def test_losses_accuracies_and_weights_equal_fits(config, build_task, overrides, loss, class_weight):
    conf = config("data.batch_size=24", "data.validation=0", *overrides)
    examples = data.load(conf.data, conf.seed, conf.paths.cache_dir)
    task = build_task(conf, examples)
    network, keras_run = train_with_keras(
        task, examples.train, normalization(conf.data.normalization), loss, class_weight
    )

    loop = TrainingLoop(task, examples.train, Constant(steps_per_epoch=59, total_steps=59), jit=False)
    steps = loop.run(examples.train.epoch(0), 0, STEPS)

    np.testing.assert_allclose(steps.losses, keras_run.losses, atol=1e-5)
    assert float(steps.totals[0]["accuracy"]) == pytest.approx(24 * sum(keras_run.accuracies), abs=1e-3)
    for ours, theirs in zip(task.network.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_losses_with_label_smoothing_and_squared_error_equal_keras_losses(config, build_task):
    labels = tf.constant([0, 3, 9], tf.int64)
    logits = tf.random.stateless_normal((3, 10), seed=(0, 1))
    targets = tf.one_hot(labels, 10)
    conf = config()
    examples = data.load(conf.data, 0, conf.paths.cache_dir)
    for overrides, expected in (
        (["task.label_smoothing=0.1"], keras.losses.CategoricalCrossentropy(True, 0.1)(targets, logits)),
        (["task.loss=mean_squared_error"], keras.losses.MeanSquaredError()(targets, tf.nn.softmax(logits))),
    ):
        task = build_task(config(*overrides), examples)
        loss = task._loss({"label": labels}, logits, None)
        assert float(loss) == pytest.approx(float(expected), abs=1e-6)


def test_normalization_is_the_classic_one(config):
    conf = config("data.normalization.mean=[0.1307]", "data.normalization.std=[0.3081]")
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    expected = (pixels / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(normalization(conf.data.normalization)(pixels), expected, atol=1e-5)
