"""What an example has: features, in words, in bytes and as JSON."""

import json

import pytest

from kerasdl.data.features import KINDS, Feature, Features, image, label, number
from kerasdl.data.splits import batch_spec

DIGIT = label(tuple("0123456789"))


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (image(28, 28, 1), "28x28x1"),
        (DIGIT, "10 classes"),
        (label(tuple(map(str, range(1200)))), "1,200 classes"),
        (number(), "number"),
        (Feature("number", (5,), "float32"), "5 numbers"),
    ],
)
def test_a_feature_is_described_by_its_size(feature, words):
    assert feature.describe() == words


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (Features({"image": image(8, 8, 1)}, {"label": DIGIT}), "8x8x1, 10 classes"),
        (Features({"image": image(8, 8, 1)}), "8x8x1"),
        (Features({"age": number(), "bmi": number()}, {"y": number()}), "2 numbers, target y (number)"),
        (Features({"age": number(), "image": image(8, 8, 3)}, extras={"weight": number()}), "number, 8x8x3"),
        (Features({"left": image(8, 8, 1), "right": image(8, 8, 1)}), "2 images of 8x8x1"),
        (Features({"left": image(8, 8, 1), "right": image(8, 8, 3)}), "8x8x1, 8x8x3"),
        (Features(dict.fromkeys(("before", "after"), Feature("number", (5,), "float32"))), "2 times 5 numbers"),
    ],
)
def test_features_are_described_by_role(features, words):
    assert features.describe() == words


def test_an_example_has_the_bytes_of_all_its_features():
    features = Features({"image": image(28, 28, 3)}, {"label": DIGIT}, {"weight": number()})
    assert [feature.nbytes for feature in features.all.values()] == [28 * 28 * 3, 8, 4]
    assert features.nbytes == 28 * 28 * 3 + 8 + 4
    assert [feature.is_scalar for feature in features.all.values()] == [False, True, True]


def test_all_has_every_feature_by_name_inputs_first():
    features = Features({"image": image(2, 2, 1)}, {"label": DIGIT}, {"patient": number()})
    assert list(features.all) == ["image", "label", "patient"]


def test_a_batch_has_a_tensor_of_any_number_of_examples_for_each_feature():
    features = Features({"image": image(2, 3, 1)}, {"label": DIGIT}, {"weight": number()})
    specs = {name: (spec.shape.as_list(), spec.dtype.name) for name, spec in batch_spec(features).items()}
    assert specs == {"image": ([None, 2, 3, 1], "uint8"), "label": ([None], "int64"), "weight": ([None], "float32")}


@pytest.mark.parametrize("feature", [image(28, 28, 3), DIGIT, number(), Feature("tokens", (12,), "int32", ("a", "ß"))])
def test_a_feature_comes_back_from_json_as_it_was(feature):
    assert Feature.from_json(json.loads(json.dumps(feature.to_json()))) == feature


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match=rf"kind must be one of {', '.join(KINDS)}\. Received: 'smell'\."):
        Feature("smell", (), "float32")
    saved = {**number().to_json(), "kind": "smell"}
    with pytest.raises(ValueError, match="'smell'"):
        Feature.from_json(saved)
