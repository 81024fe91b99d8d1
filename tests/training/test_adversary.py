"""Adversarial training: whom it attacks, with how much, and that the network learns to withstand it."""

import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from kerasdl import compose, data, run
from kerasdl.attacks import Attack
from kerasdl.config.checks import check
from kerasdl.config.identity import config_hash, deciding
from kerasdl.errors import ConfigError
from kerasdl.seeds import derive
from kerasdl.tasks.adversary import Adversary
from kerasdl.training import runtime
from kerasdl.training.loop import TrainingLoop
from kerasdl.training.schedules import Constant

LAYERS = (
    "model=layers",
    "model.layers=[{_target_: keras.layers.Conv2D, filters: 4, kernel_size: 3, activity_regularizer: l2},"
    "{_target_: keras.layers.BatchNormalization},{_target_: keras.layers.ReLU},{_target_: keras.layers.Dropout,"
    " rate: 0.5},{_target_: keras.layers.Flatten}]",
)
SMALL = ("model.filters=[8]", "model.kernel_sizes=[3]", "model.dense_units=16", "optimizer=adam",
         "optimizer.learning_rate=0.01")  # fmt: skip
SIZES = {"steps_per_epoch": 41, "total_steps": 41}


@pytest.fixture
def prepare(config, build_task):
    """Returns (task, data) for overrides of a small experiment."""

    def prepared(*overrides, jit=False):
        conf = config(*overrides)
        examples = data.load(conf.data, conf.seed, conf.paths.cache_dir)
        with runtime.precision_and_device(conf.trainer):
            return build_task(conf, examples, jit), examples

    return prepared


def first_batch(examples):
    batch = examples.train.batch(examples.train.epoch(0), 0)
    return tf.cast(batch["image"], tf.float32), batch["label"]


def attacking(task, attack, seed=0, warmup_steps=0):
    """Returns an adversary of the task's network."""

    def key(step):
        return tf.stack([derive(seed, "adversarial"), tf.cast(step, tf.int32)])

    return Adversary(attack, lambda images: task.logits({"image": images}), key, warmup_steps)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_an_attack_raises_the_loss_and_leaves_the_network_as_it_is(prepare, precision):
    """No random numbers of dropout are used up, no averages of batch normalisation moved."""
    task, examples = prepare(*LAYERS, f"trainer.precision={precision}")
    images, labels = first_batch(examples)
    before = [np.array(variable) for variable in task.network.variables]
    assert len(before) == 9  # with a random generator, and two moving averages
    changed = tf.function(attacking(task, Attack("linf", 0.1, steps=3)))(images, labels, tf.constant(0))
    for old, variable in zip(before, task.network.variables, strict=True):
        np.testing.assert_array_equal(old, variable)
    assert np.abs(changed - images).max() == pytest.approx(25.5, abs=1e-3)
    losses = [float(task.evaluation_step({"image": batch, "label": labels})[0]["loss"]) for batch in (images, changed)]
    assert losses[1] > 1.05 * losses[0]


def test_the_budget_rises_and_each_step_has_numbers_of_its_own(prepare):
    task, examples = prepare()
    images, labels = first_batch(examples)
    adversary = tf.function(attacking(task, Attack("linf", 0.2, steps=2), warmup_steps=10))
    changes = [(adversary(images, labels, tf.constant(step, tf.int64)) - images).numpy() for step in (0, 5, 10, 11)]
    assert [np.abs(change).max() for change in changes] == pytest.approx([0, 25.5, 51, 51], abs=1e-3)
    assert np.any(changes[2] != changes[3])


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_the_network_learns_from_augmented_then_attacked_images(prepare, jit):
    task, examples = prepare("model.filters=[4,4]", "model.dense_units=8", jit=jit)
    seen = []

    def remembering(batch):
        seen.append(batch["image"])
        brightest = tf.reduce_max(batch["image"])
        return {"loss": brightest, "count": tf.constant(1.0), "accuracy": tf.constant(0.0)}

    def to_seven(images, seed):
        return tf.ones_like(images) * 7

    def doubled(images, labels, step):
        return images * 2 + tf.cast(step, tf.float32) + 0 * tf.cast(tf.reduce_sum(labels), tf.float32)

    task.train_step, task._adversary = remembering, task._context.compiled(doubled)
    task._context._augmentation = to_seven
    loop = TrainingLoop(task, examples.train, Constant(**SIZES), jit)
    assert loop.run(examples.train.epoch(0), 0, 3).losses.tolist() == [14, 15, 16]
    assert len(seen) == 1  # traced once; no Python per step


def test_a_network_learns_to_withstand(prepare):
    accuracies = []
    for epsilon in (0.0, 0.15):
        settings = (f"epsilon={epsilon}", "steps=3", "warmup=1")
        task, examples = prepare(*SMALL, *(f"trainer.adversarial.{setting}" for setting in settings))
        loop = TrainingLoop(task, examples.train, Constant(**SIZES), jit=False)
        for epoch in range(4):
            steps = loop.run(examples.train.epoch(epoch), 0, 41)
        images, labels = first_batch(examples)
        measured = attacking(task, Attack("linf", 0.15, steps=10), seed=1)
        changed = tf.function(measured)(images, labels, tf.constant(0))
        attacked = np.mean(np.argmax(task.logits({"image": changed}), axis=-1) == labels)
        accuracies.append((steps.totals[0]["accuracy"] / steps.totals[0]["count"], attacked))
    (plain, attacked), (on_attacked_images, robust) = accuracies
    assert robust > attacked + 0.3
    assert plain > on_attacked_images + 0.1


def test_a_run_without_it_has_the_identity_that_it_had_before_there_was_such_a_key(config):
    """And goes on: the configuration in its folder has no trace of the key."""
    now = config(*SMALL, "trainer.epochs=1")
    before = OmegaConf.create(OmegaConf.to_container(now))
    del before.trainer["adversarial"]
    assert (
        deciding(before) == deciding(now) == deciding(config(*SMALL, "trainer.epochs=1", "trainer.adversarial.steps=3"))
    )
    assert config_hash(now) != config_hash(config(*SMALL, "trainer.epochs=1", "trainer.adversarial.epsilon=0.1"))
    assert len(run(before).history["loss"]) == 1


@pytest.mark.parametrize(
    ("override", "answer"),
    {
        "epsilon=8": "must be in [0, 1] with norm linf: black is 0, white is 1. Received: 8.0. For pixel values divide "
        "by 255: trainer.adversarial.epsilon=0.0314",
        "epsilon=-0.1": "must be >= 0. Received: -0.1.",
        "norm=l1": "must be linf or l2. Received: l1.",
        "steps=0": "must be >= 1. Received: 0.",
        "step_size=0": "must be > 0. Received: 0.0.",
        "warmup=-1": "must be >= 0. Received: -1.0.",
        "eps=0.1": "there is no such key. Did you mean",
    }.items(),
)
def test_a_mistake_is_answered_before_training(override, answer):
    with pytest.raises(ConfigError) as error:
        check(compose([f"trainer.adversarial.{override}"]))
    assert str(error.value).startswith(f"trainer.adversarial.{override.partition('=')[0]}")
    assert answer in str(error.value)


def test_a_euclidean_budget_may_be_larger_than_one():
    check(compose(["trainer.adversarial.norm=l2", "trainer.adversarial.epsilon=2"]))
