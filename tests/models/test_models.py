"""The networks of the model group: their sizes, their two styles, and what they compute."""

import random

import keras
import numpy as np
import pytest

from kerasdl import compose
from kerasdl.config.instantiate import instantiate
from kerasdl.data.features import image, number
from kerasdl.errors import ConfigError
from kerasdl.models import cnn, image_classifier
from kerasdl.models.fingerprint import fingerprint
from kerasdl.models.seeding import seeded
from kerasdl.models.serving import serving_model
from kerasdl.seeds import derive

STYLES = ("sequential", "functional")


def build(name, style="sequential", shape=(28, 28, 3), seed=0, overrides=()):
    config = compose([f"model={name}", f"model.style={style}", *overrides])
    with seeded(seed):
        model = instantiate(config.model, "model", input_shape=shape, classes=10)
    return model


@pytest.mark.parametrize("style", STYLES)
def test_parameter_counts_are_the_classic_ones(style):
    assert cnn.build((28, 28, 1), 10, style=style).count_params() == 21_840
    assert image_classifier.build((28, 28, 3), 10, style=style).count_params() == 422_218


@pytest.mark.parametrize("name", ["cnn", "image_classifier", "layers"])
def test_sequential_and_functional_are_equal_to_the_bit(name, tmp_path):
    sequential, functional = (build(name, style) for style in STYLES)
    assert isinstance(sequential, keras.Sequential)
    assert not isinstance(functional, keras.Sequential)
    images = np.random.default_rng(0).normal(size=(4, 28, 28, 3)).astype("float32")
    np.testing.assert_array_equal(sequential(images), functional(images))
    np.testing.assert_array_equal(sequential(images, training=True), functional(images, training=True))

    names = [[layer.name for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
             for model in (sequential, functional)]  # fmt: skip
    assert names[0] == names[1]

    other = build(name, "functional", seed=1)
    assert not np.array_equal(other(images), sequential(images))
    sequential.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other(images), sequential(images))


def test_the_seed_decides_weights_and_dropout():
    images = np.ones((2, 28, 28, 3), "float32")
    first, again, other = build("cnn", seed=3), build("cnn", seed=3), build("cnn", seed=4)
    np.testing.assert_array_equal(first(images, training=True), again(images, training=True))
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


def convolve(images, kernel, bias):
    """Valid cross-correlation as the literature writes it: images (n, h, w, c), kernel (k, k, c, maps)."""
    size = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    return np.einsum("nhwcij,ijcm->nhwm", windows, kernel) + bias


def pool(images):
    n, h, w, c = images.shape
    return images[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def test_weights_trained_elsewhere_give_the_same_logits():
    """The classic network in plain NumPy, from weights of any origin in Keras's layout."""
    model = build("cnn", shape=(28, 28, 1))
    rng = np.random.default_rng(0)
    weights = [rng.normal(scale=0.2, size=weight.shape) for weight in model.get_weights()]
    model.set_weights(weights)
    images = rng.normal(size=(3, 28, 28, 1))
    x = np.maximum(pool(convolve(images, *weights[0:2])), 0)
    x = np.maximum(pool(convolve(x, *weights[2:4])), 0)
    assert x.shape == (3, 4, 4, 20)
    x = np.maximum(x.reshape(3, 320) @ weights[4] + weights[5], 0)
    expected = x @ weights[6] + weights[7]
    np.testing.assert_allclose(model(images.astype("float32")), expected, rtol=1e-4, atol=1e-4)


def test_channel_dropout_drops_whole_feature_maps():
    model = build("cnn", overrides=["model.channel_dropout=0.5"])
    layer = model.get_layer("channel_dropout")
    dropped = np.asarray(layer(np.ones((8, 4, 4, 20), "float32"), training=True))
    per_map = dropped.reshape(8, 16, 20)
    assert set(np.unique(per_map)) == {0.0, 2.0}
    assert (per_map == per_map[:, :1]).all()


@pytest.mark.parametrize("name", ["cnn", "image_classifier", "layers"])
@pytest.mark.parametrize("style", STYLES)
def test_serving_model_takes_raw_images_and_gives_probabilities(name, style, tmp_path):
    network = build(name, style)
    scale = keras.layers.Rescaling(1 / 255, name="normalization")
    softmax = keras.layers.Softmax(name="probabilities")
    model = serving_model(network, {"image": image(28, 28, 3)}, {"image": scale}, softmax)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), dtype=np.uint8)
    expected = keras.ops.softmax(network(images.astype("float32") * np.float32(1 / 255)))
    np.testing.assert_allclose(model(images), expected, rtol=1e-5, atol=1e-7)
    assert model.get_layer("logits") is network.get_layer("logits")

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), model(images))


def test_serving_model_of_several_features_takes_them_by_name(tmp_path):
    inputs = {name: keras.Input((), name=name) for name in ("age", "height")}
    columns = [keras.ops.expand_dims(inputs[name], 1) for name in ("age", "height")]
    logits = keras.layers.Dense(2, name="logits")(keras.layers.Concatenate()(columns))
    network = keras.Model(inputs, logits, name="both")
    layers = {name: keras.layers.Rescaling(scale, name=f"scaled_{name}") for name, scale in (("age", 2), ("height", 3))}
    raw = {"age": np.array([1, 2, 3], "float32"), "height": np.array([4, 5, 6], "float32")}
    model = serving_model(network, dict.fromkeys(raw, number()), layers, keras.layers.Softmax())
    expected = keras.ops.softmax(network({"age": 2 * raw["age"], "height": 3 * raw["height"]}))
    np.testing.assert_allclose(model(raw), expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(raw), model(raw))


@pytest.mark.parametrize("name", ["cnn", "image_classifier", "layers"])
def test_images_too_small_are_refused_in_words(name):
    with pytest.raises(ConfigError, match=r"doesn't fit images of 3x3x1: layer .* received .*Use larger images"):
        build(name, shape=(3, 3, 1))


def test_every_hyperparameter_reaches_the_network():
    overrides = ["model.filters=[4,6,8]", "model.kernel_sizes=[3,3,3]", "model.dense_units=7", "model.activation=tanh",
                 "model.dropout=0.1", "model.channel_dropout=0.2", "model.kernel_initializer=he_normal",
                 "model.kernel_regularizer={_target_: keras.regularizers.L2, l2: 0.5}"]  # fmt: skip
    model = build("image_classifier", overrides=overrides)
    conv3, dense = model.get_layer("conv3"), model.get_layer("dense")
    assert (conv3.filters, conv3.kernel_size, dense.units) == (8, (3, 3), 7)
    assert dense.activation is keras.activations.tanh
    assert isinstance(conv3.kernel_initializer, keras.initializers.HeNormal)
    assert float(conv3.kernel_regularizer.l2) == 0.5
    assert (model.get_layer("dropout").rate, model.get_layer("channel_dropout").rate) == (0.1, 0.2)


def test_a_random_layer_more_leaves_the_weights_as_they_are():
    plain, dropping = (build("image_classifier", overrides=[f"model.dropout={rate}"]) for rate in (0.0, 0.5))
    assert len(dropping.variables) == len(plain.variables) + 1
    for one, other in zip(plain.weights, dropping.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_layer_keeps_a_seed_of_its_own_and_a_notebook_keeps_its_random_numbers():
    make, state = keras.random.SeedGenerator.__init__, random.getstate()
    with seeded(0):
        own, other = keras.layers.Dropout(0.5, seed=7), keras.layers.Dropout(0.5)
    assert own.seed_generator.state.numpy().tolist() == [7, 0]
    assert other.seed_generator.state.numpy().tolist() == [derive(0, "dropout", 0), 0]
    assert keras.random.SeedGenerator.__init__ is make
    assert random.getstate() == state


def test_the_fingerprint_tells_one_bit():
    model = build("cnn")
    before = fingerprint(model)
    assert fingerprint(build("cnn", style="functional")) == before
    weight = model.weights[0]
    weight.assign(np.nextafter(np.asarray(weight), np.float32(9)))
    assert fingerprint(model) != before
