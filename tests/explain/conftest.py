"""Networks that a test writes down layer by layer, handed over as kerasdl does."""

import functools

import keras
import numpy as np
import pytest

from kerasdl.data.features import image
from kerasdl.models.chain import chain
from kerasdl.models.pixels import on_pixels
from kerasdl.models.serving import serving_model


def plain_scale():
    """A normalisation that leaves pixels as they are, so that numbers can be worked out by hand."""
    return keras.layers.Rescaling(1.0, name="normalization")


def served(network, normalization):
    """The model that is handed over of a classifier of images."""
    softmax = keras.layers.Softmax(name="probabilities")
    return serving_model(network, {"image": image(*network.input_shape[1:])}, {"image": normalization}, softmax)


@pytest.fixture(scope="session")
def serving():
    """Makes the handed-over model of a network that gives logits; pixels are normalised to [0, 1]."""
    return lambda network: served(network, keras.layers.Rescaling(1 / 255, name="normalization"))


@pytest.fixture(scope="session")
def handed_over():
    """Makes the handed-over model of layers, the last of which gives logits; its normalisation changes nothing."""

    def make(layers, shape, style="sequential"):
        network = chain(layers, shape, style=style, name="tested")
        return served(network, plain_scale())

    return make


@pytest.fixture(scope="session")
def linear(handed_over):
    """A network of one dense layer on 3x4 pixels of 2 channels, 3 classes, and its weights (3, 4, 2, classes)."""
    layers = [keras.layers.Flatten(name="flatten"), keras.layers.Dense(3, name="logits")]
    model = handed_over(layers, (3, 4, 2))
    weights = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
    model.get_layer("logits").set_weights([weights, np.array([0.5, -0.5, 0.0], "float32")])
    return on_pixels(model), weights.reshape(3, 4, 2, 3)


@pytest.fixture(scope="session")
def relu_network(handed_over):
    """Makes a small convolutional network with given weights, in either style."""

    @functools.cache
    def make(style):
        layers = [
            keras.layers.Conv2D(4, 3, activation="relu", padding="same", name="conv1"),
            keras.layers.MaxPooling2D(2, name="pool1"),
            keras.layers.Conv2D(6, 3, name="conv2"),
            keras.layers.Activation("relu", name="activation2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(8, activation="relu", name="dense"),
            keras.layers.Dropout(0.5, name="dropout"),
            keras.layers.Dense(3, name="logits"),
        ]
        model = handed_over(layers, (10, 12, 1), style)
        rng = np.random.default_rng(1)
        model.set_weights([rng.normal(scale=0.2, size=weight.shape) for weight in model.get_weights()])
        return model

    return make


@pytest.fixture(scope="session")
def images():
    """Five images for `relu_network`, and the classes to explain."""
    return np.random.default_rng(2).integers(0, 256, (5, 10, 12, 1), dtype=np.uint8), np.array([0, 1, 2, 1, 0])
