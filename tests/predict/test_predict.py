"""`python -m kerasdl.predict`: from pictures on the disk to rows, a file, and an artifact of the run."""

import csv
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FORMATS = {"png": {}, "bmp": {}, "gif": {}, "tif": {}, "tga": {}, "pcx": {}, "pgm": {}, "jp2": {"irreversible": False}}


@pytest.fixture(scope="module")
def digits():
    """uint8 [20, 8, 8]: two of each digit, as the data set has them."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    first = np.concatenate([np.flatnonzero(labels == label)[:2] for label in range(10)])
    return np.clip(np.rint(images[first].reshape(-1, 8, 8) * 255 / 16), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def answers(trained_run, digits):
    """float32 [20, 10]: what the network of the run says, asked without this command."""
    from kerasdl import trained
    from kerasdl.commands import RUN_KEYS, parse

    values = parse([f"run={trained_run.id}", f"paths.output_dir={trained_run.output_dir}"], RUN_KEYS)
    with trained.opened(values) as network:
        return network.model(digits[..., None]).numpy()


@pytest.fixture
def folder(tmp_path, monkeypatch, digits):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    for number, digit in enumerate(digits):
        Image.fromarray(digit).save(tmp_path / "digits" / f"{number:02}.png")
    return tmp_path


@pytest.fixture
def predict(predict_with, trained_run):
    return predict_with(trained_run)


def rows_of(data):
    return list(csv.DictReader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))


def test_rows_are_what_the_network_says_in_order_with_a_smaller_last_batch(predict, folder, answers):
    code, out, err = predict("input=digits", "batch_size=7", "top=2", "probabilities=true")
    assert code == 0
    assert "20 pictures" in err
    rows = rows_of(out)
    assert [row["file"] for row in rows] == [f"digits/{number:02}.png" for number in range(20)]
    found = np.array([[row[f"p({name})"] for name in "0123456789"] for row in rows], np.float32)
    np.testing.assert_allclose(found, answers, rtol=1e-4, atol=1e-7)
    assert [row["class"] for row in rows] == [str(best) for best in answers.argmax(-1)]
    np.testing.assert_array_equal(np.float32([row["probability"] for row in rows]), found.max(-1))


def test_a_digit_is_predicted_alike_in_every_format_and_inverted_on_paper(predict, folder, digits):
    digit = Image.fromarray(digits[6])
    for suffix, options in FORMATS.items():
        digit.save(folder / f"x.{suffix}", **options)
    digit.convert("RGBA").save(folder / "rgba.png")
    Image.fromarray(digits[6].astype(np.uint16) * 257).save(folder / "deep.png")
    code, out, _ = predict("input=x.*,rgba.png,deep.png,digits/06.png")
    assert code == 0
    rows = rows_of(out)
    assert len(rows) == len(FORMATS) + 3
    assert len({tuple(list(row.values())[1:]) for row in rows}) == 1, "the same pixels, the same numbers"
    Image.fromarray(255 - digits[6]).save(folder / "paper.png")
    _, out, _ = predict("input=paper.png", "invert=true")
    assert rows_of(out)[0]["class"] == rows[0]["class"]


def test_broken_pictures_are_reported_the_rest_go_on_and_the_exit_code_is_1(predict, folder):
    (folder / "digits" / "03,x.png").write_text("no picture")
    (folder / "digits" / "07.png").write_bytes((folder / "digits" / "07.png").read_bytes()[:60])
    (folder / "digits" / "99.png").touch()
    (folder / "digits" / "readme.md").touch()
    code, out, err = predict("input=digits", "batch_size=4")
    assert code == 1
    rows = rows_of(out)
    assert [row["file"] for row in rows if row["error"]] == ["digits/03,x.png", "digits/07.png", "digits/99.png"]
    assert all(row["class"] for row in rows if not row["error"])
    assert len(rows) == 22
    assert "Error: digits/03,x.png: not a picture that Pillow can read" in err
    assert "Error: digits/99.png: an empty file" in err
    assert "22 pictures, 3 of them broken" in err
    assert "other files left out: 1 (.md)" in err


def test_many_broken_ones_do_not_flood_the_terminal(predict, folder, monkeypatch):
    names = "".join(f"gone{number}.png\n" for number in range(500))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(names.encode())))
    code, out, err = predict("input=-")
    assert code == 1
    assert len(rows_of(out)) == 500
    assert err.count("Error:") == 20
    assert "500 of them broken" in err


def test_the_suffix_decides_and_nothing_is_overwritten_unless_told(predict, folder):
    _, out, _ = predict("input=digits")
    assert predict("input=digits", "output=found.csv")[:2] == (0, b"")
    assert (folder / "found.csv").read_bytes() == out
    assert predict("input=digits", "output=found.jsonl")[0] == 0
    lines = [json.loads(line) for line in (folder / "found.jsonl").read_text().splitlines()]
    assert [(line["file"], line["class"], str(line["probability"])) for line in lines] == [
        (row["file"], row["class"], row["probability"]) for row in rows_of(out)
    ]
    code, _, err = predict("input=digits/00.png", "output=found.csv")
    assert (code, "found.csv" in err, "overwrite=true" in err) == (1, True, True)
    assert (folder / "found.csv").read_bytes() == out
    assert predict("input=digits/00.png", "output=found.csv", "overwrite=true")[0] == 0
    assert len(rows_of((folder / "found.csv").read_bytes())) == 1
    assert predict("input=digits/00.png", "output=found.txt", "format=table")[0] == 0
    assert (folder / "found.txt").read_text().split()[:2] == ["file", "class"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["input=nowhere/*.png"], 1, "'nowhere/*.png'"),
        (["input=digits", "output=x.xlsx"], 2, "output must end with .csv or .jsonl. Received: 'x.xlsx'"),
        (["input=digits", "output=no/x.csv"], 1, "output"),
        (["input=digits", "top=0"], 2, "top"),
        (["input=digits", "background=grey"], 2, "background"),
        ([], 2, "input="),
    ],
)
def test_mistakes_are_reported_before_the_network_is_loaded(predict, folder, monkeypatch, arguments, code, told):
    from kerasdl import trained

    monkeypatch.setattr(trained, "opened", lambda values: pytest.fail("the run was opened"))
    found, out, err = predict(*arguments)
    assert (found, out) == (code, b"")
    assert told in err
    assert err.count("\n") == 1


def test_standard_output_is_for_rows_alone(predict, folder):
    code, out, err = predict("input=digits/00.png", "checkpoint=last")
    assert code == 0
    assert out.startswith(b"file,class,")
    assert "checkpoint" in err


def test_the_table_is_kept_with_the_run(predict, folder, trained_run):
    before = _artifacts(trained_run)
    _, out, _ = predict("input=digits", log="true")
    (name,) = _artifacts(trained_run).keys() - before.keys()
    assert _artifacts(trained_run)[name].read_bytes() == out
    predict("input=digits")
    assert len(_artifacts(trained_run)) == len(before) + 1


def test_a_closed_pipe_ends_it_quietly(predict, folder, monkeypatch, trained_run):
    reader, writer = os.pipe()
    os.close(reader)
    before = _artifacts(trained_run)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        _, _, err = predict("input=digits", log="true")
    assert "Traceback" not in err
    assert "Error" not in err
    assert _artifacts(trained_run).keys() == before.keys(), "half a table isn't kept"


def test_ctrl_c_leaves_no_half_a_file(predict, folder, monkeypatch):
    from kerasdl.trained import predicting

    whole = predicting.in_batches

    def interrupted(*arguments):
        yield next(whole(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(predicting, "in_batches", interrupted)
    code, _, err = predict("input=digits", "batch_size=4", "output=found.csv")
    assert code == 130
    assert "Interrupted" in err
    assert sorted(path.name for path in folder.iterdir()) == ["digits"]


def _artifacts(trained_run):
    """Returns the prediction tables that the run has, by name."""
    from mlflow import MlflowClient

    run = MlflowClient(f"sqlite:///{trained_run.output_dir / 'mlflow.db'}").get_run(trained_run.id)
    tables = Path(run.info.artifact_uri.removeprefix("file://")) / "predictions"
    return {path.name: path for path in tables.glob("*.csv")}
