import json

import keras
import numpy as np
import pytest
from omegaconf import OmegaConf

from kerasdl.config import schema
from kerasdl.data.features import Feature, Features, image, label, number
from kerasdl.data.order import WholeOrder
from kerasdl.data.preprocessing import Standardization, fit, from_json, input_layer, normalization, to_json
from kerasdl.data.resident import Column, ResidentSplit
from kerasdl.errors import ConfigError, DataError

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


AGES = np.array([20, 30, 40, 90, 1000], np.float32)
FEATURES = Features({"age": number(), "image": image(2, 2, 1)}, {"income": number()}, {"weight": number()})


def split(indices, **columns):
    """Returns a training split of those examples, of whose numbers `columns` are the values."""
    features = Features({name: number() for name in columns})
    tensors = {name: Column.of(number(), np.asarray(values, np.float32)) for name, values in columns.items()}
    return ResidentSplit("train", features, tensors, WholeOrder(np.array(indices), 0, shuffle=True), batch_size=2)


def test_numbers_are_fitted_on_the_training_split_alone():
    """Inputs and targets; what else an example has is nobody's input."""
    fitted = fit(FEATURES, split([0, 1, 2, 3], age=AGES, income=2 * AGES, weight=AGES))
    assert set(fitted) == {"age", "income"}
    ages = AGES[:4].astype(np.float64)
    assert (fitted["age"].mean, fitted["age"].std) == pytest.approx((ages.mean(), ages.std()))
    assert fitted["income"].mean == pytest.approx(2 * ages.mean())


@pytest.mark.parametrize("value", [7, 0.1, 1e-30])
def test_a_number_that_is_always_the_same_becomes_zero(value):
    fitted = fit(Features({"x": number()}), split(range(1000), x=[value] * 1000))["x"]
    np.testing.assert_allclose(fitted.layer("x")(np.array([value], np.float32)), [0], atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_by_name(value):
    with pytest.raises(DataError, match=r"'x' in the training split must be a finite number"):
        fit(Features({"x": number()}), split([0, 1], x=[1, value]))
    fit(Features({"x": number()}), split([0], x=[1, value]))  # it isn't the training split's


def test_what_was_fitted_comes_back_from_json_as_it_was():
    fitted = {"age": Standardization(1 / 3, 2 / 7), "income": Standardization(-1e9, 1e-9)}
    assert from_json(json.loads(json.dumps(to_json(fitted)))) == fitted


def test_standardised_numbers_come_back_from_the_inverse():
    fitted = Standardization(45.0, 26.9)
    standardised = fitted.layer("in")(AGES)
    np.testing.assert_allclose(standardised, (AGES - 45) / 26.9, rtol=1e-5)
    np.testing.assert_allclose(fitted.inverse("out")(standardised), AGES, rtol=1e-5)


def test_an_input_gets_the_layer_of_its_kind(configure):
    found = input_layer("age", number(), configure(), {"age": Standardization(40.0, 10.0)})
    assert float(found(np.float32(60))) == pytest.approx(2)
    assert input_layer("image", image(8, 8, 1), configure(), {}).name == "normalization"
    for feature in (label(("a", "b")), Feature("text", (), "str")):
        with pytest.raises(DataError, match=f"'x', a feature of the kind {feature.kind}"):
            input_layer("x", feature, configure(), {})
