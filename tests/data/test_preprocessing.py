import keras
import numpy as np
import pytest
from omegaconf import OmegaConf

from kerasdl.config import schema
from kerasdl.data.preprocessing import normalization
from kerasdl.errors import ConfigError

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)


def config(mean, std):
    return OmegaConf.structured(schema.Normalization(mean=mean, std=std))


@pytest.mark.parametrize(
    ("mean", "std"),
    [([0.1307], [0.3081]), ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]), ([0.1], [0.5, 0.6, 0.7]), ([0.1, 0.2, 0.3], [0.5])],
)
def test_raw_pixels_become_scaled_minus_mean_over_deviation(mean, std):
    layer = normalization(config(mean, std), channels=3)
    assert layer.name == "normalization"
    result = keras.ops.convert_to_numpy(layer(PIXELS))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, (PIXELS / 255 - np.array(mean)) / np.array(std), rtol=1e-5, atol=1e-5)


def test_it_survives_a_model_file_and_a_reduced_precision_policy(tmp_path):
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = normalization(config([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]))
    finally:
        keras.mixed_precision.set_global_policy(before)
    assert layer.compute_dtype == "float32"
    model = keras.Sequential([keras.Input((4, 5, 3)), layer])
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(restored(PIXELS.astype("float32")), model(PIXELS.astype("float32")))


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ([0.1, 0.2], [1.0], r"data\.normalization\.mean must be .*Received: \[0\.1, 0\.2\]"),
        ([0.1], [], r"data\.normalization\.std must be .*Received: \[\]"),
        ([0.1], [0.0], r"data\.normalization\.std must be > 0"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(mean, std, words):
    with pytest.raises(ConfigError, match=words):
        normalization(config(mean, std), channels=3)
