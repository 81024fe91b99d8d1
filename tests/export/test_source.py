"""What formats are made from: the same weights, in float32."""

import keras
import numpy as np
import pytest

from kerasdl.data.features import image
from kerasdl.export.source import in_float32, precision
from kerasdl.models.serving import serving_model


@pytest.fixture(scope="module")
def mixed():
    """A network in mixed precision, part of which is a model of its own."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        part = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, name="inner")], name="part")
        network = keras.Sequential(
            [keras.Input((8, 8, 1)), part, keras.layers.Flatten(), keras.layers.Dense(3, dtype="float32")]
        )
        return serving_model(
            network,
            {"image": image(8, 8, 1)},
            {"image": keras.layers.Rescaling(1 / 255, name="normalization", dtype="float32")},
            keras.layers.Softmax(name="probabilities", dtype="float32"),
        )
    finally:
        keras.config.set_dtype_policy(before)


def test_a_network_in_mixed_precision_is_copied_with_its_weights_to_float32(mixed):
    keras.config.set_dtype_policy("mixed_bfloat16")  # as in a run in mixed precision
    try:
        copy = in_float32(mixed)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert (precision(mixed), precision(copy)) == ("mixed_bfloat16", "float32")
    assert copy.get_layer("part").get_layer("inner").compute_dtype == "float32"
    for one, other in zip(mixed.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_copy_of_a_float32_network_gives_the_same_bits(model, images):
    assert precision(model) == "float32"
    np.testing.assert_array_equal(in_float32(model).predict_on_batch(images), model.predict_on_batch(images))


def test_the_copy_shares_nothing_with_the_network(model):
    before = model.get_weights()
    copy = in_float32(model)
    copy.set_weights([weight + 1 for weight in copy.get_weights()])
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
