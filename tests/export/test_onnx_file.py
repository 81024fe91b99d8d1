"""ONNX: operations that its converter doesn't know by itself."""

import numpy as np
import pytest

from kerasdl.export.formats import onnx_file
from kerasdl.export.source import Source
from kerasdl.quiet import quiet


@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_activations_of_present_day_networks_are_converted(tmp_path, images, signature, activation):
    import keras

    image = keras.Input((8, 8, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 50, offset=-2.5)(image))
    x = keras.layers.Dense(6, activation=activation)(x)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))
    with quiet():
        onnx_file.write(source := Source(model, signature, {}), tmp_path / "model.onnx")
    found = onnx_file.load(tmp_path / "model.onnx", source.names)({"image": images})
    np.testing.assert_allclose(found["probabilities"], model.predict_on_batch(images), atol=1e-5)


def test_nothing_is_missing_here():
    assert onnx_file.missing() == []
