"""A network that is small enough to be converted in a moment."""

import numpy as np
import pytest


@pytest.fixture(scope="package")
def model():
    """An untrained classifier of 8x8 grey images into 3 classes, as it is handed over."""
    import keras

    from kerasdl.data.features import image
    from kerasdl.models import image_classifier
    from kerasdl.models.seeding import seeded
    from kerasdl.models.serving import serving_model

    with seeded(0):
        network = image_classifier.build((8, 8, 1), 3)
    return serving_model(
        network,
        {"image": image(8, 8, 1)},
        {"image": keras.layers.Rescaling(1 / 255, name="normalization")},
        keras.layers.Softmax(name="probabilities", dtype="float32"),
    )


@pytest.fixture(scope="package")
def images():
    """uint8 (70, 8, 8, 1) between 40 and 200: neither black nor white occurs."""
    return np.random.default_rng(0).integers(40, 200, (70, 8, 8, 1), endpoint=True).astype(np.uint8)


@pytest.fixture(scope="package")
def signature():
    """Of `model`."""
    from kerasdl.models.signature import Signature

    return Signature.of_classifier((8, 8, 1), ("a", "b", "c"))


@pytest.fixture(scope="package")
def source(model, signature, images):
    """What formats are made from."""
    from kerasdl.export.source import Source

    return Source(model, signature, {"image": images})
