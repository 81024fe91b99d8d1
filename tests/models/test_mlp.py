"""The multilayer perceptron on images and on numbers."""

import numpy as np
import pytest

from kerasdl.data.features import Feature, image, number
from kerasdl.errors import ConfigError
from kerasdl.models.mlp import build


def test_on_an_image_it_is_three_dense_layers():
    model = build({"image": image(28, 28, 1)}, 10, units=(64, 32))
    assert model.count_params() == 784 * 64 + 64 + 64 * 32 + 32 + 32 * 10 + 10
    assert model(np.zeros((2, 28, 28, 1), np.float32)).shape == (2, 10)


def test_numbers_stand_side_by_side_in_their_order():
    model = build({"a": number(), "b": number()}, 1, units=())
    kernel, bias = np.array([[2.0], [3.0]]), np.array([5.0])
    model.get_layer("outputs").set_weights([kernel, bias])
    given = {"b": np.array([10.0], np.float32), "a": np.array([1.0], np.float32)}
    assert model(given).numpy() == [[2 * 1 + 3 * 10 + 5]]


def test_dropout_follows_each_hidden_layer():
    model = build({"a": number(), "b": number()}, 1, units=(8, 8), dropout=0.25)
    assert [layer.name for layer in model.layers if "dropout" in layer.name] == ["dropout1", "dropout2"]


def test_words_are_refused():
    with pytest.raises(ConfigError, match="model mlp takes images and numbers. Received: 'review', which is text"):
        build({"review": Feature("text", (), "str")}, 1)
