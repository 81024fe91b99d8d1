"""`python -m kerasdl.predict` for a model with several outputs: `give=` names one of them."""

import csv
import io
import shutil

import numpy as np
import pytest
from PIL import Image

import kerasdl
from kerasdl.data import Feature
from kerasdl.predict.numbers import Table
from kerasdl.trained import examples
from kerasdl.trained.predicting import Prediction


@pytest.fixture(scope="module")
def network(autoencoder_run):
    return kerasdl.load(autoencoder_run.id, output_dir=autoencoder_run.output_dir)


@pytest.fixture(scope="module")
def images(network):
    return examples(network.data().test, 6)["image"]


@pytest.fixture
def predict(predict_with, autoencoder_run, tmp_path, monkeypatch, images):
    """The command, in a folder with pictures of six digits."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(tmp_path / "digits" / f"{number}.png")
    return predict_with(autoencoder_run)


def test_a_code_has_a_column_for_each_number(predict, network, images):
    code, out, _ = predict("input=digits", "give=code")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
    width = network.signature.outputs["code"].shape[0]
    assert list(rows[0]) == ["file", *(f"code_{place}" for place in range(width)), "error"]
    found = np.float32([[row[f"code_{place}"] for place in range(width)] for row in rows])
    np.testing.assert_allclose(found, network(images)["code"], rtol=1e-4, atol=1e-5)


def test_reconstructions_are_png_files_in_a_folder(predict, network, images, tmp_path):
    (tmp_path / "more").mkdir()
    shutil.copy(tmp_path / "digits" / "0.png", tmp_path / "more" / "0.png")
    (tmp_path / "digits" / "5.png").write_text("no picture")
    code, out, err = predict("input=digits,more", "give=reconstruction", "output=found/")
    assert (code, out) == (1, b"")
    assert "digits/5.png: not a picture" in err
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == [
        "0-2.png", "0.png", "1.png", "2.png", "3.png", "4.png",
    ]  # fmt: skip
    for number in range(5):
        found = np.asarray(Image.open(tmp_path / "found" / f"{number}.png"), np.float32)
        np.testing.assert_allclose(found, network(images)["reconstruction"][number].squeeze(), atol=0.51)


def test_npz_has_all_outputs_or_the_one_that_is_named(predict, network, images, tmp_path):
    (tmp_path / "digits" / "5.png").write_text("no picture")
    assert predict("input=digits", "output=all.npz")[0] == 1
    with np.load(tmp_path / "all.npz") as found:
        assert set(found) == {"names", "errors", "reconstruction", "code"}
        assert found["reconstruction"].shape == images.shape
        np.testing.assert_allclose(found["code"][:5], network(images)["code"][:5], rtol=1e-4, atol=1e-5)
        assert np.isnan(found["code"][5]).all()
        assert found["names"].tolist() == [f"digits/{number}.png" for number in range(6)]
        assert found["errors"][5].startswith("not a picture")
    assert predict("input=digits", "output=codes.npz", "give=code")[0] == 1
    with np.load(tmp_path / "codes.npz") as found:
        assert set(found) == {"names", "errors", "code"}


def test_a_table_shows_as_many_numbers_as_the_terminal_has_room_for():
    outputs = {"code": Feature("number", (32,), "float32")}
    values = np.linspace(-1e-9, 1e9, 32, dtype=np.float32)
    batch = [Prediction(name, outputs={"code": values}) for name in ("a.png", "folder/" * 12 + "last.png")]
    batch.append(Prediction("x.png", error="an empty file"))
    lines = Table(outputs, "file", width=60).rows(batch).splitlines()
    assert lines[0].split() == ["file", "code_0", "code_1", "code_2…"]
    assert all(len(line) <= 60 for line in lines)
    assert lines[1].split()[:2] == ["a.png", "-1e-09"]
    assert "/last.png " in lines[2]
    assert lines[3].endswith("error: an empty file")
    assert "code_31" in Table(outputs, "file").rows(batch).splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give=reconstruction is an image, which is no row of text. Add output=FOLDER/ for PNG files or "
             "output=FILE.npz for arrays, or take another output: give=code."),
        (["output=found.csv"], "give=reconstruction is an image"),
        (["give=code", "output=found/"], "a folder is for images, and code is 32 numbers."),
        (["give=codes"], "give must be one of reconstruction, code. Received: 'codes'."),
        (["give=code", "probabilities=true"], "probabilities is for a model that gives a label."),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(predict, arguments, message):
    code, out, err = predict("input=digits", *arguments)
    assert (code, out) == (2, b"")
    (line,) = [line for line in err.splitlines() if line.startswith("Error:")]
    assert message in line
