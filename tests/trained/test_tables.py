"""Tables in Python: what `network(...)` and `network.predict(...)` take for several inputs, and what they refuse."""

import io

import numpy as np
import pandas as pd
import pytest

import kerasdl
from kerasdl.errors import DataError, UserError
from kerasdl.trained import examples, tables


@pytest.fixture(scope="module")
def network(regression_run):
    return kerasdl.load(regression_run.id, output_dir=regression_run.output_dir)


@pytest.fixture(scope="module")
def values(network):
    return {name: each for name, each in examples(network.data().test, 8).items() if name in network.signature.inputs}


def test_a_dict_and_a_data_frame_give_the_same_in_any_order(network, values):
    found = network(values)
    assert (found.shape, found.dtype) == ((8, 1), np.float32)
    frame = pd.DataFrame(values)[sorted(values, reverse=True)].assign(name="someone")
    np.testing.assert_array_equal(network(frame), found)


def test_wrong_arrays_are_refused(network, values):
    for wrong, message in (
        (np.zeros((8, 10)), r"inputs must be a dict or a DataFrame with age, sex, .*Received: ndarray \(8, 10\)"),
        ({name: each for name, each in values.items() if name != "bmi"}, "Missing: bmi"),
        ({**values, "bmi": values["bmi"][:3]}, "inputs must all have the same length"),
        ({**values, "bmi": values["bmi"][:, None]}, r"bmi must be numbers \(n,\). Received: float32 \(8, 1\)"),
        ({**values, "bmi": ["thin"] * 8}, r"bmi must be numbers \(n,\)"),
    ):
        with pytest.raises(UserError, match=message):
            network(wrong)


def test_outputs_have_their_names_where_there_are_several(autoencoder_run):
    network = kerasdl.load(autoencoder_run.id, output_dir=autoencoder_run.output_dir)
    images = examples(network.data().test, 4)["image"]
    found = network(images)
    assert found["reconstruction"].shape == (4, 8, 8, 1)
    assert found["code"].shape == (4, 32)
    for number, prediction in enumerate(network.predict(images[..., 0])):
        np.testing.assert_allclose(prediction.outputs["code"], found["code"][number], rtol=1e-4, atol=1e-5)
        assert prediction.outputs["reconstruction"].shape == (8, 8, 1)
        assert prediction.class_name is None


def test_tables_are_predicted_from_a_file_a_frame_a_dict_and_an_array(network, values, tmp_path):
    frame, expected = pd.DataFrame(values), network(values).ravel()
    frame.to_csv(tmp_path / "patients.csv", index=False)
    for inputs in (tmp_path / "patients.csv", str(tmp_path / "patients.csv"), frame, values, frame.to_numpy()):
        found = [prediction.outputs["progression"] for prediction in network.predict(inputs, batch_size=3)]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    frame.loc[2, "age"] = np.nan
    errors = [prediction.error for prediction in network.predict(frame)]
    assert errors == [None, None, "age must be a finite number, but is 'nan'", *[None] * 5]
    with pytest.raises(DataError, match="inputs must have a column for each feature: .*Missing: bmi"):
        network.predict(frame.drop(columns="bmi"))
    with pytest.raises(DataError, match="can't be read"):
        network.predict(tmp_path / "nothing.csv")


def read(text, names="ab", **options):
    return list(tables.read("-", list(names), stdin=io.BytesIO(text.encode()), **options))


def test_a_csv_is_read_as_spreadsheets_write_it():
    notes = []
    rows = read('\ufeffb, a ,c\r\n 1e1,"2","x\ny"\r\n\r\n3,4,z\r\n', note=notes.append)
    assert [(row.name, row.values) for row in rows] == [("-:3", {"a": 2, "b": 10}), ("-:5", {"a": 4, "b": 3})]
    assert notes == ["-: columns that aren't features are ignored: c"]


def test_rows_are_read_when_they_are_asked_for():
    def lines():
        yield b"a,b\n"
        yield b"1,2\n" * 10_000
        pytest.fail("the end was read")

    class Stream(io.RawIOBase):
        parts = lines()

        def readable(self):
            return True

        def readinto(self, buffer):
            part = next(self.parts)
            part = part[: len(buffer)]
            buffer[: len(part)] = part
            return len(part)

    first = next(tables.read("-", ["a", "b"], stdin=io.BufferedReader(Stream(), 64)))
    assert first.values == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Missing: a, b. Received: no columns."),
        ("a;b\n1;2\n", "Missing: a, b. Received: a;b. Columns are separated by commas."),
        ("\x89PNG\0\0,a,b\n", "'-' is not a CSV file. The model takes numbers: name a .csv or .npy file."),
        ("a,b,a\n1,2,3\n", "has two columns 'a'. Remove one."),
    ],
)
def test_a_header_that_does_not_fit_is_refused_at_once(text, message):
    with pytest.raises(DataError) as caught:
        tables.read("-", ["a", "b"], stdin=io.BytesIO(text.encode()))
    assert message in str(caught.value)
