"""A task with two networks: everything that holds for one network and one optimizer holds for each of several."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf
from small_training import Training, as_file, assert_equal, differ

from kerasdl import compose, data
from kerasdl.errors import ResumeError
from kerasdl.models.signature import Signature
from kerasdl.tasks import losses
from kerasdl.tasks.context import TaskContext
from kerasdl.training.averaging import averaged_weights, take_averages
from kerasdl.training.task import Task, one_model

MOMENTUM = 0.9
LAYERS = "kerasdl.models.layers"
NETWORKS = {
    "encoder": {"_target_": LAYERS, "layers": [{"_target_": "keras.layers.Flatten"}]},
    "decoder": {
        "_target_": LAYERS,
        "layers": [
            {"_target_": "keras.layers.Dense", "units": 8, "activation": "relu"},
            {"_target_": "keras.layers.Dropout", "rate": 0.2},
        ],
    },
}
AVERAGED = {"use_ema": True, "ema_momentum": MOMENTUM}
OPTIMIZERS = {
    "encoder": {"_target_": "keras.optimizers.SGD", "learning_rate": 0.1, "momentum": 0.5, **AVERAGED},
    "decoder": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01, **AVERAGED},
}
SHARED = {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01, **AVERAGED}


class Reconstruction(Task):
    """Learns to give an image again after a narrow code, from an image with noise.

    Args:
        context: gives networks and optimizers.
        shared: one optimizer for both networks, and not one each.
    """

    metrics = {"loss": "minimize"}

    def __init__(self, context, shared=False):
        self._context = context
        encoder = context.network("encoder", classes=6)
        decoder = context.network("decoder", classes=64, input_shape=(6,))
        self.networks = {"encoder": encoder, "decoder": decoder}
        if shared:
            self.optimizers, self.trains = context.optimizer("both", encoder, decoder), {"both": tuple(self.networks)}
        else:
            self.optimizers = context.optimizer("encoder", encoder) | context.optimizer("decoder", decoder)
        self._noise = context.key("noise")

    def shapes(self, training):
        return {"loss": (), "count": ()}

    def prepare(self, batch, step):
        images = tf.cast(batch["image"], tf.float32)
        return {**batch, "noisy": images + tf.random.stateless_normal(tf.shape(images), self._noise(step), stddev=9.0)}

    def train_step(self, batch):
        groups = [
            [weight for role in self.trains.get(name, (name,)) for weight in self.networks[role].trainable_weights]
            for name in self.optimizers
        ]
        with tf.GradientTape() as tape:
            loss = self._loss(batch, batch["noisy"], training=True)
        gradients = tape.gradient(loss, groups)
        for optimizer, found, weights in zip(self.optimizers.values(), gradients, groups, strict=True):
            optimizer.apply(found, weights)
        return {"loss": loss * losses.count(batch), "count": losses.count(batch)}

    def evaluation_step(self, batch):
        loss = self._loss(batch, tf.cast(batch["image"], tf.float32), training=False)
        return {"loss": loss * losses.count(batch), "count": losses.count(batch)}, {}

    def results(self, sums):
        return {"loss": float(sums["loss"] / sums["count"])}

    def serving(self):
        return self.networks["encoder"], Signature("reconstruction", self._context.features.inputs, {})

    def _loss(self, batch, images, training):
        code = self.networks["encoder"](self._context.preprocessed({"image": images}), training=training)
        target = tf.reshape(self._context.preprocessed(batch), [-1, 64])
        errors = tf.square(self.networks["decoder"](code, training=training) - target)
        return losses.averaged(tf.reduce_mean(errors, axis=1), batch)


@pytest.fixture(scope="module")
def composed():
    return compose(["data=digits", "data.batch_size=16", "model=image_classifier", "tracking=none"])


@pytest.fixture
def training(composed):
    """Builds a training of the two networks, always on the same examples."""

    def build(shared=False, seed=0):
        conf = OmegaConf.create(OmegaConf.to_container(composed))
        conf.model, conf.optimizer = NETWORKS, SHARED if shared else OPTIMIZERS
        examples = data.load(conf.data, 0, conf.paths.cache_dir)
        conf.seed = seed
        context = TaskContext(conf, examples.info.features, {}, examples.train)
        return Training(Reconstruction(context, shared), examples)

    return build


def weights(task):
    return [np.array(weight) for network in task.networks.values() for weight in network.trainable_weights]


def rates(task):
    return {role: float(optimizer.learning_rate) for role, optimizer in task.optimizers.items()}


@pytest.mark.parametrize("shared", [False, True], ids=["an optimizer each", "one optimizer"])
def test_both_learn(training, shared):
    made = training(shared)
    before = weights(made.task)
    saved = made.run(60)
    found = made.progress.history.losses
    assert np.mean(found[-10:]) < 0.9 * np.mean(found[:10])
    for old, new in zip(before, weights(made.task), strict=True):
        assert not np.array_equal(old, new)
    assert {name.split("/")[1] for name in saved.arrays if name.startswith("networks/")} == {
        "encoder",
        "decoder",
    }


@pytest.mark.parametrize("shared", [False, True], ids=["an optimizer each", "one optimizer"])
def test_it_is_captured_and_goes_on_to_the_bit(training, tmp_path, shared):
    first, second = training(shared), training(shared)
    saved = first.run(8)
    assert differ(saved, second.run(3))
    second.state.restore(as_file(saved, tmp_path))
    assert_equal(saved, second.state.capture())
    expected = first.run(5)
    assert_equal(expected, second.run(5))
    changed = {"/".join(name.split("/")[:2]) for name in differ(saved, expected)}
    roles = ["both"] if shared else ["encoder", "decoder"]
    assert changed >= {"networks/encoder", "networks/decoder", *(f"optimizers/{role}" for role in roles)}


def test_without_any_one_networks_or_optimizers_state_it_would_go_on_differently(training):
    first, second = training(), training()
    other, saved = second.run(3), first.run(8)
    expected = first.run(5)
    for lost in ("networks/encoder/", "networks/decoder/", "optimizers/encoder/", "optimizers/decoder/"):
        arrays = {name: other.arrays[name] if name.startswith(lost) else array for name, array in saved.arrays.items()}
        second.state.restore(dataclasses.replace(saved, arrays=arrays))
        assert any(name.startswith("networks/") for name in differ(expected, second.run(5))), lost


def test_a_checkpoint_of_other_roles_is_refused_and_nothing_changed(training):
    saved, other = training().run(2), training(shared=True)
    before = other.state.capture()
    with pytest.raises(ResumeError, match=r"optimizers/both/0000 is only in this network"):
        other.state.restore(saved)
    assert_equal(before, other.state.capture())


@pytest.mark.parametrize("shared", [False, True], ids=["an optimizer each", "one optimizer"])
def test_each_network_has_the_averages_of_its_own_weights(training, shared):
    made = training(shared)
    averages = None
    for _ in range(6):
        made.run(1)
        now = weights(made.task)
        # Keras starts the average at the weights after the first step.
        pairs = zip(averages or now, now, strict=True)
        averages = [MOMENTUM * average + (1 - MOMENTUM) * weight for average, weight in pairs]
    with averaged_weights(made.task):
        for average, inside in zip(averages, weights(made.task), strict=True):
            np.testing.assert_allclose(inside, average, atol=1e-6)
    for own, after, average in zip(now, weights(made.task), averages, strict=True):
        np.testing.assert_array_equal(own, after)
        assert not np.allclose(own, average, atol=1e-6)
    take_averages(made.task)
    for average, kept in zip(averages, weights(made.task), strict=True):
        np.testing.assert_allclose(kept, average, atol=1e-6)


def test_both_optimizers_follow_the_schedule_and_the_first_ones_rate_is_logged(training):
    made = training()
    made.run(6)
    factor = float(made.schedule(tf.constant(5, tf.int64)))
    assert 0.1 < factor < 0.9
    assert rates(made.task) == pytest.approx({"encoder": 0.1 * factor, "decoder": 0.01 * factor})
    assert made.progress.history.learning_rates[-1] == rates(made.task)["encoder"]


@pytest.mark.parametrize("steps_between", [0, 2], ids=["captured at once", "after steps"])
def test_a_learning_rate_that_a_callback_changes_scales_both_also_when_resumed(training, tmp_path, steps_between):
    first, second = training(), training()
    first.run(4)
    second.run(2)
    optimizer = first.task.optimizers["encoder"]
    optimizer.learning_rate = float(optimizer.learning_rate) / 10  # what ReduceLROnPlateau does
    saved = first.run(steps_between) if steps_between else first.state.capture()
    second.state.restore(as_file(saved, tmp_path))
    assert_equal(first.run(3), second.run(3))
    factor = float(first.schedule(tf.constant(4 + steps_between + 2, tf.int64)))
    for made in (first, second):
        assert rates(made.task) == pytest.approx({"encoder": 0.01 * factor, "decoder": 0.001 * factor})


def test_callbacks_see_the_weights_of_both_networks_as_one_models(training):
    made = training()
    model = one_model(made.task.networks)
    assert model.count_params() == sum(network.count_params() for network in made.task.networks.values())
    best = keras.callbacks.EarlyStopping(mode="min", restore_best_weights=True)
    best.set_model(model)
    best.on_train_begin()
    best.on_epoch_end(0, {"val_loss": 1.0})
    before = weights(made.task)
    made.run(3)
    model.set_weights(best.best_weights)
    for own, kept in zip(weights(made.task), before, strict=True):
        np.testing.assert_array_equal(own, kept)


def test_what_is_random_in_a_step_is_a_function_of_the_seed_and_the_step(training):
    task, other = training().task, training(seed=1).task
    batch = {"image": tf.zeros([2, 8, 8, 1], tf.uint8)}
    noise = [
        each.prepare(batch, tf.constant(step))["noisy"].numpy() for each, step in ((task, 3), (task, 3), (task, 4))
    ]
    np.testing.assert_array_equal(noise[0], noise[1])
    assert not np.array_equal(noise[0], noise[2])
    assert not np.array_equal(noise[0], other.prepare(batch, tf.constant(3))["noisy"])
