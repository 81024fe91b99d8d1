"""What a handed-over model takes and gives, as it is kept in its metadata, by this version and by earlier ones."""

import json

import pytest

from kerasdl.data.features import Feature, image, label, number
from kerasdl.errors import UserError
from kerasdl.models.signature import Signature

CLASSIFIER = Signature.of_classifier((8, 8, 1), ("cat", "dog"))
REGRESSION = Signature(
    "regression",
    {"age": number(), "bmi": number()},
    {"progression": number()},
    {"age": {"mean": 48.5, "std": 13.1}, "bmi": {"mean": 26.4, "std": 4.4}},
)
TWINS = Signature("twins", {"left": image(8, 8, 1), "right": image(8, 8, 1)}, {"same": label(("no", "yes"))})
AUTOENCODER = Signature("autoencoder", {"image": image(8, 8, 1)}, {"image": image(8, 8, 1)})


@pytest.mark.parametrize("signature", [CLASSIFIER, REGRESSION, TWINS, AUTOENCODER], ids=lambda each: each.task)
def test_a_signature_comes_back_from_metadata_as_it_was(signature):
    metadata = json.loads(json.dumps(signature.to_metadata()))
    assert Signature.from_metadata(metadata, image_shape=()) == signature


def test_features_keep_their_order_though_mlflow_sorts_keys():
    ordered = Signature("regression", {name: number() for name in "zay"}, {"y": number()})
    metadata = json.loads(json.dumps(ordered.to_metadata(), sort_keys=True))
    assert list(Signature.from_metadata(metadata, image_shape=()).inputs) == ["z", "a", "y"]


def test_earlier_versions_find_the_names_of_the_classes_where_they_look_for_them():
    assert CLASSIFIER.to_metadata()["class_names"] == ["cat", "dog"]
    assert "class_names" not in REGRESSION.to_metadata()


def test_metadata_of_earlier_versions_is_that_of_a_classifier_of_images():
    assert Signature.from_metadata({"class_names": ["cat", "dog"]}, (8, 8, 1)) == CLASSIFIER
    assert Signature.from_metadata({"class_names": ["cat", "dog"]}, (9, 7, 3)).image == image(9, 7, 3)


@pytest.mark.parametrize("metadata", [{}, {"class_names": None}, {"owner": "me"}])
def test_metadata_without_class_names_says_nothing(metadata):
    assert Signature.from_metadata(metadata, (8, 8, 1)) is None


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (CLASSIFIER, "image -> label"),
        (REGRESSION, "2 numbers -> number"),
        (TWINS, "2 images -> label"),
        (AUTOENCODER, "image -> image"),
        (
            Signature("encoder", {"image": image(8, 8, 1)}, {"code": Feature("number", (32,), "float32")}),
            "image -> 32 numbers",
        ),
    ],
    ids=lambda each: getattr(each, "task", None),
)
def test_a_signature_is_described_by_kinds(signature, words):
    assert signature.describe() == words


def test_what_it_takes_and_gives_is_one_feature_of_that_kind():
    assert (CLASSIFIER.takes("image"), CLASSIFIER.gives("label")) == (True, True)
    assert (CLASSIFIER.takes("number"), CLASSIFIER.gives("number")) == (False, False)
    assert (TWINS.takes("image"), REGRESSION.takes("number"), REGRESSION.gives("number")) == (False, False, True)
    assert (CLASSIFIER.image, CLASSIFIER.class_names) == (image(8, 8, 1), ("cat", "dog"))


@pytest.mark.parametrize(
    ("signature", "attribute", "wanted", "found"),
    [
        (REGRESSION, "image", "one image", "2 numbers -> number"),
        (TWINS, "image", "one image", "2 images -> label"),
        (REGRESSION, "class_names", "one label", "2 numbers -> number"),
        (AUTOENCODER, "class_names", "one label", "image -> image"),
    ],
)
def test_asking_for_what_it_has_not_is_refused_in_a_line(signature, attribute, wanted, found):
    with pytest.raises(UserError) as refused:
        getattr(signature, attribute)
    message = str(refused.value)
    assert wanted in message
    assert found in message
    assert "\n" not in message
