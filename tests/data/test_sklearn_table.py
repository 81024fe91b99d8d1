"""Tables of scikit-learn: fixed splits, features by name, and the same examples in memory and streamed."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from kerasdl import compose, data
from kerasdl.data.preprocessing import fit, from_json, to_json
from kerasdl.data.sklearn_table import SklearnTable
from kerasdl.errors import ConfigError, DataError


@pytest.fixture
def config():
    return compose(["data=diabetes", "task=regression", "model=mlp"]).data


def batches(split):
    handle = split.epoch(0)
    return [{name: values.numpy() for name, values in split.batch(handle, step).items()} for step in range(split.steps)]


def test_it_is_known_without_reading_anything(config):
    info = data.check(config)
    assert list(info.features.inputs) == ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
    assert list(info.features.targets) == ["progression"]
    assert info.features.describe() == "10 numbers, target progression (number)"


def test_every_patient_is_in_one_split(config):
    from sklearn.datasets import load_diabetes

    loaded = data.load(config, 0, "unused")
    assert [loaded.train.size, loaded.validation.size, loaded.test.size] == [283, 71, 88]
    found = np.concatenate([split.column("progression") for split in (loaded.train, loaded.validation, loaded.test)])
    assert sorted(found) == sorted(load_diabetes().target)


def test_a_row_stays_together(config):
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    rows = {tuple(row) for row in np.column_stack([table.data, table.target]).astype(np.float32)}
    columns = [*table.feature_names, "progression"]
    for batch in batches(data.load(config, 0, "unused").train):
        assert {tuple(row) for row in np.column_stack([batch[name] for name in columns])} <= rows


def test_streamed_batches_have_the_same_examples(config):
    resident = data.load(config, 0, "unused").test
    config.memory_budget = "0"
    streamed = data.load(config, 0, "unused").test
    for one, other in zip(batches(resident), batches(streamed), strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_its_contents_are_its_fingerprint(config, monkeypatch):
    before = data.load(config, 0, "unused").info.fingerprint
    assert data.load(config, 1, "unused").info.fingerprint == before
    source = SklearnTable(config)
    source._columns["age"][0] += 1
    assert source.prepared("unused", print).info.fingerprint != before


def test_numbers_are_standardised_by_the_training_split_alone(config):
    loaded = data.load(config, 0, "unused")
    fitted = fit(loaded.info.features, loaded.train)
    ages = loaded.train.column("age").astype(np.float64)
    assert (fitted["age"].mean, fitted["age"].std) == (ages.mean(), ages.std())
    standardized = fitted["age"].layer("age")(loaded.train.column("age")).numpy()
    assert abs(standardized.mean()) < 1e-5
    assert abs(standardized.std() - 1) < 1e-5
    assert from_json(to_json(fitted)) == fitted


def test_another_name_is_refused(config):
    with pytest.raises(DataError, match=r"data.name must be one of diabetes. Received: 'diabetis'."):
        data.check(OmegaConf.merge(config, {"name": "diabetis"}))


def test_a_split_that_is_not_there_is_refused(config):
    config.test_split = "holdout"
    with pytest.raises(DataError, match=r"data.test_split must be a split of diabetes/1.0.0, which has train \(354\)"):
        data.check(config)


def test_what_changes_images_is_refused():
    from kerasdl import run

    words = ["data=diabetes", "task=regression", "model=mlp", "tracking=none", "data.augmentation.flip=true"]
    with pytest.raises(ConfigError, match=r"data.augmentation needs images. Received: diabetes with 10 numbers"):
        run(compose(words))
