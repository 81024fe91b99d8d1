"""`python -m kerasdl.predict` for a network from numbers to a number: CSV in, a column with the target's name out."""

import csv
import io
import json
import sys

import numpy as np
import pytest

import kerasdl
from kerasdl.trained import examples


@pytest.fixture(scope="module")
def network(regression_run):
    return kerasdl.load(regression_run.id, output_dir=regression_run.output_dir)


@pytest.fixture(scope="module")
def patients(network):
    """Ten patients, arrays by the names of the features."""
    split = network.data().test
    return {name: values for name, values in examples(split, 10).items() if name in network.signature.inputs}


@pytest.fixture(scope="module")
def answers(network, patients):
    return network(patients).ravel()


@pytest.fixture
def predict(predict_with, regression_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return predict_with(regression_run)


def table(patients, *, order=None, **more):
    """Returns patients as CSV, the columns in another order and with more of them."""
    columns = {name: patients[name].tolist() for name in order or patients} | more
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue()


def rows_of(out):
    return list(csv.DictReader(io.StringIO(out.decode(), newline="")))


def test_a_csv_in_any_order_gives_a_column_with_the_targets_name(predict, patients, answers, tmp_path):
    names = [f"patient {number}" for number in range(10)]
    (tmp_path / "patients.csv").write_text(table(patients, order=sorted(patients, reverse=True), name=names))
    code, out, err = predict("input=patients.csv", "batch_size=4")
    assert code == 0
    rows = rows_of(out)
    assert list(rows[0]) == ["row", "progression", "error"]
    assert [row["row"] for row in rows] == [f"patients.csv:{line}" for line in range(2, 12)]
    np.testing.assert_allclose(np.float32([row["progression"] for row in rows]), answers, rtol=1e-5)
    assert err.count("patients.csv: columns that aren't features are ignored: name") == 1
    assert "10 rows in " in err
    assert "rows/s)" in err


def test_a_missing_column_is_one_error_and_nothing_is_written(predict, patients, tmp_path):
    less = {name: values for name, values in patients.items() if name not in ("bmi", "s3")}
    (tmp_path / "patients.csv").write_text(table(less))
    code, out, err = predict("input=patients.csv", "output=found.csv")
    assert (code, out) == (1, b"")
    (line,) = [line for line in err.splitlines() if line.startswith("Error:")]
    assert "patients.csv must have a column for each feature: age, sex, bmi" in line
    assert "Missing: bmi, s3." in line
    assert not (tmp_path / "found.csv").exists()


def test_a_cell_that_is_no_number_is_named_and_the_others_are_predicted(predict, patients, answers, tmp_path):
    lines = table(patients).splitlines()
    for row, cell in ((1, "thirty"), (3, ""), (5, "nan"), (7, "1e60")):
        lines[row + 1] = ",".join([cell, *lines[row + 1].split(",")[1:]])
    lines[10] = "1,2"
    (tmp_path / "patients.csv").write_text("\n".join(lines))
    code, out, err = predict("input=patients.csv")
    assert code == 1
    rows = rows_of(out)
    assert [bool(row["error"]) for row in rows] == [number in (1, 3, 5, 7, 9) for number in range(10)]
    good = [number for number in range(10) if not rows[number]["error"]]
    np.testing.assert_allclose(np.float32([rows[number]["progression"] for number in good]), answers[good], rtol=1e-5)
    assert "Error: patients.csv:3: age must be a finite number, but is 'thirty'" in err
    assert "Error: patients.csv:5: age is empty" in err
    assert "Error: patients.csv:11: it has 2 cells, but the first line has 10" in err
    assert "10 rows, 5 of them broken, in " in err


def test_standard_input_arrays_and_every_format_give_the_same(predict, patients, answers, tmp_path, monkeypatch):
    np.save(tmp_path / "patients.npy", np.stack(list(patients.values()), axis=1))
    code, out, _ = predict("input=patients.npy")
    assert code == 0
    assert rows_of(out)[3]["row"] == "patients.npy[3]"
    numbers = [row["progression"] for row in rows_of(out)]
    np.testing.assert_allclose(np.float32(numbers), answers, rtol=1e-5)
    for content in (table(patients).encode(), (tmp_path / "patients.npy").read_bytes()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        code, out, _ = predict("input=-")
        assert (code, [row["progression"] for row in rows_of(out)]) == (0, numbers)
    assert predict("input=patients.npy", "output=found.jsonl")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [str(line["progression"]) for line in lines] == numbers
    assert predict("input=patients.npy", "output=found.npz")[0] == 0
    with np.load(tmp_path / "found.npz") as arrays:
        np.testing.assert_array_equal(arrays["progression"], np.float32(numbers))
        assert arrays["names"][3] == "patients.npy[3]"
        assert not any(arrays["errors"])
    _, out, _ = predict("input=patients.npy", "format=table")
    assert out.decode().splitlines()[0].split() == ["row", "progression"]
    assert out.decode().splitlines()[4].split() == ["patients.npy[3]", f"{float(numbers[3]):.6g}"]


def test_the_table_is_kept_with_the_run(predict, patients, regression_run, tmp_path):
    from kerasdl.config.composition import place
    from kerasdl.tracking import lookup

    (tmp_path / "patients.csv").write_text(table(patients))
    _, out, _ = predict("input=patients.csv", log="true")
    found = lookup.find(place({"paths.output_dir": str(regression_run.output_dir)}), regression_run.id)
    (name,) = [name for name in found.artifacts.list() if name.startswith("predictions/")]
    assert found.artifacts.fetch(name, tmp_path).read_bytes() == out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["top=2"], "top is for a model that gives a label. The run's model is 10 numbers -> number. Leave it out."),
        (["invert=true"], "invert is for a model that takes an image."),
        (["give=code"], "give must be one of progression. Received: 'code'."),
        (["output=found/"], "output: a folder is for images, and progression is number. Name a .csv,"),
        (["output=found.npz", "format=csv"], "format is for rows. Received: format=csv with output=found.npz."),
        (["input=."], "'.' is a folder. The model takes numbers: name a .csv or .npy file."),
        (["input=wrong.npy"], "an array must be numbers (n, 10), with the columns age, sex, bmi"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(predict, patients, tmp_path, arguments, message):
    (tmp_path / "patients.csv").write_text(table(patients))
    np.save(tmp_path / "wrong.npy", np.zeros((4, 3)))
    code, out, err = predict("input=patients.csv", *arguments)
    assert (code in (1, 2), out) == (True, b"")
    (line,) = [line for line in err.splitlines() if line.startswith("Error:")]
    assert message in line
