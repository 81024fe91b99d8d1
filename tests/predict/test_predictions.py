"""Predictions streamed from a network, and written as a table, CSV and JSON lines."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from kerasdl.errors import DataError
from kerasdl.models.signature import Signature
from kerasdl.predict.formats import Csv, JsonLines, Table, encoded
from kerasdl.trained.predicting import Example, Prediction, compiled, in_batches, predict

SHAPE = (6, 5, 1)
CLASSES = ("0", "1", "2", "3")
SIGNATURE = Signature.of_classifier(SHAPE, CLASSES)
ODD_NAMES = [
    "plain.png",
    "a,b.png",
    'quo"te.png',
    "two\nlines.png",
    "re\rturn.png",
    "zwölf 十二.png",
    "sieben\udcff.png",
    "",
]


@pytest.fixture(scope="module")
def model():
    """From a picture of one grey to probabilities that tell which: 4 greys, 4 classes."""
    import keras

    image = keras.Input(SHAPE, dtype="uint8", name="image")
    grey = keras.layers.Flatten()(keras.layers.Rescaling(1 / 85)(image))
    mean = keras.layers.Lambda(lambda x: keras.ops.mean(x, axis=-1, keepdims=True))(grey)
    nearest = keras.layers.Lambda(lambda x: -((x - np.arange(4, dtype=np.float32)) ** 2))(mean)
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(nearest))


@pytest.fixture
def odd():
    """Predictions with names of every kind, and an error."""
    generator = np.random.default_rng(0)

    def one(name):
        values = generator.dirichlet(np.full(4, 0.1)).astype(np.float32)
        best = np.argsort(-values, kind="stable")
        return Prediction(name, tuple((CLASSES[i], float(str(values[i]))) for i in best), values)

    return [*map(one, ODD_NAMES), Prediction("bro,ken.png", error="truncated, it is")]


def picture(number):
    return np.full(SHAPE[:2], 85 * (number % 4), np.uint8)


def test_each_picture_gets_its_own_answer_in_order_with_broken_ones_between(model, tmp_path):
    (tmp_path / "broken.png").write_text("no")
    inputs = [tmp_path / "broken.png" if n % 5 == 3 else picture(n) for n in range(23)]
    found = list(predict(model, SIGNATURE, inputs, batch_size=4, top=2))
    assert [bool(p.error) for p in found] == [n % 5 == 3 for n in range(23)]
    for number, prediction in enumerate(found):
        if prediction.error:
            assert prediction.name == str(tmp_path / "broken.png")
            assert (prediction.class_name, prediction.probability, prediction.probabilities) == (None, None, None)
        else:
            assert prediction.name == f"inputs[{number}]"
            assert prediction.class_name == CLASSES[number % 4]
            assert len(prediction.top) == 2
            assert prediction.probability == prediction.top[0][1] >= prediction.top[1][1]
            assert np.float32(prediction.probability) == prediction.probabilities.max()
            assert prediction.probabilities.dtype == np.float32


def test_the_network_is_traced_once_and_never_sees_more_than_a_batch(model):
    traced, sizes = [], []

    class Counting:
        input_shape = model.input_shape

        def __call__(self, pixels, training):
            traced.append(pixels.shape)
            return model(pixels, training=training)

    function = compiled(Counting(), SIGNATURE)

    def network(values):
        sizes.append(len(values["image"]))
        return function(values)

    list(predict(network, SIGNATURE, (picture(n) for n in range(11)), batch_size=4))
    list(predict(network, SIGNATURE, picture(1)))
    assert sizes == [4, 4, 3, 1]
    assert [shape.as_list() for shape in traced] == [[None, *SHAPE]]


def test_pictures_are_asked_for_as_predictions_are_taken(model):
    taken = []

    def pictures():
        for number in range(1000):
            taken.append(number)
            yield picture(number)

    function = compiled(model, SIGNATURE)
    stream = predict(function, SIGNATURE, pictures(), batch_size=8)
    for used in range(100):
        next(stream)
        assert len(taken) <= used + 3 * 8
    with pytest.raises(DataError, match="nowhere.png"):
        predict(function, SIGNATURE, "nowhere.png")  # at once, and not when the first is asked for


def test_a_batch_of_broken_pictures_does_not_reach_the_network(tmp_path):
    items = [Example("x", error="why")] * 3
    (batch,) = in_batches(lambda values: pytest.fail("called"), SIGNATURE, items, 8)
    assert [p.error for p in batch] == ["why"] * 3


def test_equal_probabilities_are_ranked_by_class_and_what_is_not_finite_is_no_prediction():
    rows = np.array([[0.25, 0.25, 0.25, 0.25], [np.nan, 0, 0, 1]], np.float32)
    items = [Example(name, {"image": np.zeros(SHAPE, np.uint8)}) for name in ("equal", "nan")]
    ((equal, nan),) = in_batches(lambda values: {"label": rows}, SIGNATURE, items, 8, top=9)
    assert [name for name, _ in equal.top] == list(CLASSES)
    assert "finite" in nan.error
    assert nan.top == ()


def test_a_pillow_image_and_a_file_of_it_are_predicted_alike(model, tmp_path):
    image = Image.fromarray(picture(2)).resize((60, 40))
    image.save(tmp_path / "two.png")
    one, two, dark = predict(model, SIGNATURE, [image, tmp_path / "two.png", Image.fromarray(255 - picture(2))])
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    assert (one.class_name, dark.class_name) == ("2", "1")
    (inverted,) = predict(model, SIGNATURE, Image.fromarray(255 - picture(2)), invert=True)
    assert inverted.class_name == "2"


@pytest.mark.parametrize("probabilities", [False, True])
def test_csv_comes_back_whatever_the_names(odd, probabilities):
    text = Csv(CLASSES, 3, probabilities)
    data = encoded(text.opening + text.rows(odd[:4]) + text.rows(odd[4:]))
    assert b"sieben\xff.png" in data, "the bytes that the file system has"
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))
    columns = ["file", "class", "probability", "class_2", "probability_2", "class_3", "probability_3"]
    assert list(rows[0]) == [*columns, *([f"p({name})" for name in CLASSES] if probabilities else []), "error"]
    assert [row["file"] for row in rows] == [p.name for p in odd]
    for row, prediction in zip(rows[:-1], odd, strict=False):
        assert row["error"] == ""
        for rank, (name, value) in enumerate(prediction.top[:3], start=1):
            ending = "" if rank == 1 else f"_{rank}"
            assert row[f"class{ending}"] == name
            assert np.float32(row[f"probability{ending}"]) == np.float32(value)
        if probabilities:
            back = np.array([row[f"p({name})"] for name in CLASSES], np.float32)
            np.testing.assert_array_equal(back, prediction.probabilities)
    assert rows[-1]["error"] == "truncated, it is"
    assert {rows[-1][column] for column in rows[-1]} == {"bro,ken.png", "", "truncated, it is"}


@pytest.mark.parametrize("probabilities", [False, True])
def test_json_lines_come_back_whatever_the_names(odd, probabilities):
    text = JsonLines(CLASSES, 2, probabilities)
    lines = encoded(text.opening + text.rows(odd)).decode("ascii").splitlines()
    assert len(lines) == len(odd)
    *rows, broken = map(json.loads, lines)
    assert broken == {"file": "bro,ken.png", "error": "truncated, it is"}
    for row, prediction in zip(rows, odd[:-1], strict=True):
        assert row["file"] == prediction.name
        assert (row["class"], row["probability"]) == prediction.top[0]
        assert row["top"] == [{"class": name, "probability": value} for name, value in prediction.top[:2]]
        assert ("probabilities" in row) == probabilities
        if probabilities:
            assert list(row["probabilities"]) == list(CLASSES)
            np.testing.assert_array_equal(np.float32(list(row["probabilities"].values())), prediction.probabilities)


def test_the_table_is_aligned_fits_the_terminal_and_obeys_no_name(odd):
    text = Table(("cat", "dog"), 5, False, width=60)
    values = np.array([0.25, 0.75], np.float32)
    names = ["a.png", "folder/" * 12 + "last.png", "red \x1b[31m.png", "two\nlines"]
    batch = [Prediction(name, (("dog", 0.75), ("cat", 0.25)), values) for name in names]
    lines = text.rows([*batch, Prediction("x.png", error="an empty file")]).splitlines()
    assert lines[0].split() == ["file", "class", "class", "2"]
    assert all(len(line) <= 60 for line in lines)
    assert {line.index("dog") for line in lines[1:5]} == {lines[0].index("class")}
    assert "75.00%" in lines[1]
    assert lines[2].startswith("…")
    assert "/last.png " in lines[2]
    assert "red \\x1b[31m.png" in lines[3]
    assert "two\\nlines" in lines[4]
    assert lines[5].endswith("error: an empty file")
    assert text.rows(batch[:1]).splitlines() == [lines[1]], "the header stands once, and columns stay where they are"
    wide = Table(CLASSES, 1, True)
    assert wide.rows(odd).splitlines()[0].split() == ["file", "class", *(f"p({name})" for name in CLASSES)]
