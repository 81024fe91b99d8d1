"""Attacks find the worst where it is known, never leave their ball or 0..255, and lose nothing by more effort."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from kerasdl.attacks import NORMS, Attack, log_odds_against

SEED = tf.constant([1, 2])
ORDERS = {"linf": np.inf, "l2": 2}
WEIGHTS = np.random.default_rng(0).normal(size=16).astype("float32")


def linear(images, scale=1.0):
    """Logits of two classes whose difference is WEIGHTS times the pixels."""
    score = scale * tf.linalg.matvec(tf.reshape(images, [-1, 16]), WEIGHTS) - 3.0
    return tf.stack([tf.zeros_like(score), score], axis=1)


def attacked(attack, logits, images, labels, seed=SEED, jit=False):
    run = tf.function(lambda *inputs: attack(logits, *inputs), autograph=False, jit_compile=jit)
    return run(tf.constant(images, tf.float32), tf.constant(labels, tf.int64), seed).numpy()


def distances(norm, changed, images):
    return np.linalg.norm((changed.astype("float64") - images).reshape(len(images), -1), ORDERS[norm], axis=1)


@pytest.fixture(scope="module")
def digits():
    """A small network that has learnt scikit-learn's digits, and 200 images of them that it has not seen."""
    images, labels = load_digits(return_X_y=True)
    images = (images * 255 / 16).reshape(-1, 8, 8, 1).astype("float32")
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(8, 3, activation="relu"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(10)])
    model.compile(keras.optimizers.Adam(0.005), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images[200:], labels[200:], batch_size=32, epochs=3, verbose=0)
    return model, images[:200], labels[:200].astype("int64")


def right(model, images, labels):
    return model(images).numpy().argmax(axis=1) == labels


# What the worst is, is known for a linear network: epsilon * sign(w), or epsilon * w / |w|.


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_a_linear_network_is_attacked_optimally(norm, label, method):
    attack = Attack.fgsm(norm, 0.1) if method == "fgsm" else Attack(norm, 0.1, steps=30, step_size=0.1)
    images = np.full((3, 4, 4, 1), 127.5)
    change = (attacked(attack, linear, images, [label] * 3) - images).reshape(3, 16)
    towards = WEIGHTS if label == 0 else -WEIGHTS
    direction = np.sign(towards) if norm == "linf" else towards / np.linalg.norm(towards)
    np.testing.assert_allclose(change, np.tile(25.5 * direction, (3, 1)), atol=1e-3)
    rise = 25.5 * np.linalg.norm(WEIGHTS, {"linf": 1, "l2": 2}[norm])  # in the dual norm
    np.testing.assert_allclose(change @ towards, rise, rtol=1e-5)


def test_black_and_white_pixels_can_only_go_one_way():
    images = np.tile([[[0.0], [255.0]]], (1, 4, 2, 1))
    expected = np.clip(images.reshape(16) + 51 * np.sign(WEIGHTS), 0, 255)
    for attack in (Attack.fgsm("linf", 0.2), Attack("linf", 0.2)):
        np.testing.assert_allclose(attacked(attack, linear, images, [0]).reshape(16), expected, atol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_a_network_that_is_sure_is_no_harder_to_attack(norm):
    """Its cross-entropy is flat in float32, which a naive attack would take for robustness."""
    images = tf.fill([1, 4, 4, 1], 127.5)
    sure = 1e4 if linear(images)[0, 1] < 0 else -1e4
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = linear(images, sure)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits([0], logits)
    assert np.all(tape.gradient(loss, images) == 0)
    change = attacked(Attack.fgsm(norm, 0.1), lambda x: linear(x, sure), images, [0]) - images.numpy()
    assert change.reshape(16) @ WEIGHTS * np.sign(sure) > 25


def test_log_odds_are_the_cross_entropys_inside():
    logits = np.random.default_rng(0).normal(0, 5, (50, 7)).astype("float32")
    labels = np.arange(50) % 7
    expected = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    np.testing.assert_allclose(tf.nn.softplus(log_odds_against(tf.constant(labels), logits)), expected, rtol=1e-4)


# Where it may go.


IN_BALL = [
    (attack, False)
    for attack in (
        *(Attack.fgsm(norm, epsilon) for norm, epsilon in (("linf", 0.2), ("l2", 1.5))),
        *(Attack("linf", epsilon, steps=4, restarts=2) for epsilon in (0.01, 0.2, 0.9)),
        *(Attack("l2", epsilon, steps=4, restarts=2) for epsilon in (0.05, 1.5, 20.0)),
        Attack("linf", 0.1, steps=4, step_size=3.0, random_start=False),
        Attack("l2", 0.1, steps=4, step_size=3.0),
    )
]


@pytest.mark.parametrize(("attack", "jit"), [*IN_BALL, (Attack("l2", 1.5, steps=4, restarts=2), True)])
def test_images_stay_in_the_ball_and_in_range(attack, jit):
    numbers = np.random.default_rng(1)
    kernel = tf.constant(numbers.normal(size=(36, 5)), tf.float32)
    images = np.concatenate([
        numbers.uniform(0, 255, (4, 6, 6, 1)),
        numbers.choice([0.0, 255.0], (4, 6, 6, 1)),
        np.zeros((1, 6, 6, 1)),
        np.full((1, 6, 6, 1), 255.0),
    ])  # fmt: skip

    def logits(x):
        return tf.matmul(tf.nn.relu(tf.reshape(x, [-1, 36]) - 100), kernel)

    changed = attacked(attack, logits, images, np.arange(10) % 5, jit=jit)
    assert changed.dtype == np.float32
    assert 0 <= changed.min() <= changed.max() <= 255
    reached = distances(attack.norm, changed, images)
    assert reached.max() <= 255 * attack.epsilon + 1e-3
    # The budget is used up, but for where 0 and 255 are in the way and the image can't go that far.
    assert reached.max() >= min(255 * attack.epsilon, 128) * 0.99


@pytest.mark.parametrize("norm", NORMS)
def test_without_a_budget_nothing_changes(norm):
    images = np.random.default_rng(0).uniform(0, 255, (5, 4, 4, 1)).astype("float32")
    for attack, share in (
        (Attack.fgsm(norm, 0.0), 1.0),
        (Attack(norm, 0.0, restarts=2), 1.0),
        (Attack(norm, 0.3), 0.0),
    ):
        changed = attack(linear, tf.constant(images), tf.zeros(5, tf.int64), SEED, share)
        np.testing.assert_array_equal(changed, images)


@pytest.mark.parametrize("norm", NORMS)
def test_a_share_is_an_attack_with_that_part_of_the_budget(norm):
    images, labels = tf.random.stateless_uniform([5, 4, 4, 1], SEED, 0, 255), tf.zeros(5, tf.int64)
    part = Attack(norm, 0.4, steps=3)(linear, images, labels, SEED, 0.25)
    np.testing.assert_allclose(part, Attack(norm, 0.1, steps=3)(linear, images, labels, SEED), atol=1e-3)


# What more effort is worth.

BUDGETS = {"linf": 0.1, "l2": 0.6}


@pytest.mark.parametrize("norm", NORMS)
def test_pgd_is_stronger_than_fgsm_which_is_stronger_than_noise(digits, norm):
    model, images, labels = digits
    epsilon = BUDGETS[norm]
    noise = NORMS[norm](255 * epsilon).random(tf.shape(images), SEED).numpy()
    fgsm = attacked(Attack.fgsm(norm, epsilon), model, images, labels)
    pgd = attacked(Attack(norm, epsilon, steps=20), model, images, labels)
    clean, noisy, once, often = (right(model, x, labels).mean() for x in (images, images + noise, fgsm, pgd))
    assert clean > 0.85
    assert noisy > once + 0.2
    assert often < once
    odds = [log_odds_against(tf.constant(labels), model(x)).numpy().mean() for x in (fgsm, pgd)]
    assert odds[0] < odds[1]


@pytest.mark.parametrize("norm", NORMS)
def test_restarts_only_ever_find_worse(digits, norm):
    model, images, labels = digits
    stayed, odds = [], []
    for restarts in (1, 4):
        # A single, short step: where it ends depends on where it begins.
        attack = Attack(norm, BUDGETS[norm], steps=1, step_size=BUDGETS[norm] / 2, restarts=restarts)
        changed = attacked(attack, model, images, labels)
        stayed.append(right(model, changed, labels))
        odds.append(log_odds_against(tf.constant(labels), model(changed)).numpy())
    assert not np.any(stayed[1] & ~stayed[0])
    assert stayed[1].sum() < stayed[0].sum()
    same = stayed[1] == stayed[0]
    assert np.all(odds[1][same] >= odds[0][same] - 1e-4)
    assert odds[1][same].mean() > odds[0][same].mean() + 0.01


def test_a_wrong_answer_is_kept_before_a_higher_loss():
    """Of three classes the true one can have the largest probability with a higher loss than where it hasn't."""

    def logits(x):
        right = tf.math.log([[0.34, 0.33, 0.33]])
        wrong = tf.math.log([[0.49, 0.51, 1e-9]])
        return tf.where(x[:, 0, 0] < 10, right, wrong) + 0 * x[:, 0, 0]

    images, labels = np.zeros((200, 1, 1, 1)), np.zeros(200)
    against = [log_odds_against(tf.constant([0]), logits(tf.fill([1, 1, 1, 1], pixel)))[0] for pixel in (0.0, 20.0)]
    assert against[0] > against[1]
    for restarts, share in ((1, (0.2, 0.4)), (8, (0.85, 1.0))):  # a start is above 10 with probability 0.3
        changed = attacked(Attack("linf", 0.1, steps=1, restarts=restarts), logits, images, labels)
        assert share[0] < np.mean(changed >= 10) < share[1]


@pytest.mark.parametrize("norm", NORMS)
def test_the_seed_decides(norm):
    attack, images = Attack(norm, 0.1, steps=2, step_size=0.02, restarts=2), np.full((5, 4, 4, 1), 99.0)
    run = tf.function(lambda seed: attack(linear, tf.constant(images, tf.float32), tf.zeros(5, tf.int64), seed))
    first, again, other = (run(tf.constant([1, batch])).numpy() for batch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"norm": "l1", "epsilon": 0.1}, "norm must be linf or l2. Received: 'l1'."),
        ({"norm": "l2", "epsilon": -0.1}, "epsilon must be a number >= 0. Received: -0.1."),
        ({"norm": "l2", "epsilon": float("nan")}, "epsilon must be a number >= 0. Received: nan."),
        ({"norm": "l2", "epsilon": 0.1, "step_size": 0.0}, "step_size must be a number > 0 or None. Received: 0.0."),
        ({"norm": "l2", "epsilon": 0.1, "steps": 0}, "steps and restarts must be >= 1. Received: 0 and 1."),
        ({"norm": "l2", "epsilon": 0.1, "restarts": 2, "random_start": False}, "restarts=2 needs random_start"),
    ],
)
def test_an_attack_that_means_nothing_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        Attack(**arguments)
