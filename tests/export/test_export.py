"""`python -m kerasdl.export`: files that are the same network, a model card that is true, nothing half-written."""

import csv
import hashlib
import re
import sys

import numpy as np
import pytest

from kerasdl import trained
from kerasdl.commands import RUN_KEYS
from kerasdl.export import __main__ as export
from kerasdl.export import making
from kerasdl.export.formats import FORMATS
from kerasdl.export.samples import Names
from kerasdl.export.tolerance import TOLERANCES, Tolerance

NAMES = [format.name for format in FORMATS]


@pytest.fixture(scope="module")
def exporting(trained_run):
    """Runs the command on the trained network."""

    def run(output, *arguments):
        place = [f"run={trained_run.id}", f"paths.output_dir={trained_run.output_dir}", f"output={output}"]
        export.main([*place, "examples=130", *arguments])

    return run


@pytest.fixture(scope="module")
def exported(exporting, tmp_path_factory):
    """An export in all formats, and logged."""
    directory = tmp_path_factory.mktemp("exported") / "digits"
    exporting(directory)
    return directory


@pytest.fixture(scope="module")
def network(trained_run):
    return trained.load(trained_run.id, output_dir=trained_run.output_dir)


@pytest.fixture(scope="module")
def data(network):
    return network.data()


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def read_table(directory):
    with (directory / "verification.csv").open() as file:
        return {row["format"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("format", FORMATS, ids=NAMES)
@pytest.mark.parametrize("count", [1, 5])
def test_every_file_takes_raw_images_and_gives_the_network_s_probabilities(exported, network, data, format, count):
    images = trained.examples(data.test, count)["image"]
    names = Names(("image",), ("probabilities",), is_image=True)
    found = format.load(exported / format.path, names)({"image": images})["probabilities"]
    assert found.dtype == np.float32
    assert found.shape == (count, 10)
    np.testing.assert_allclose(found, network(images), atol=min(0.1, TOLERANCES[format.name].difference))


def test_nothing_but_the_files_is_there(exported):
    assert names(exported) == sorted([*(f.path for f in FORMATS), "README.md", "example.png", "verification.csv"])
    assert names(exported.parent) == ["digits"]


def test_the_table_has_what_was_measured(exported):
    rows = read_table(exported)
    assert list(rows) == NAMES
    for format in FORMATS:
        row = rows[format.name]
        assert (row["kept"], row["split"], row["images"], row["problem"]) == ("true", "test", "130", "")
        assert 0 <= float(row["max_difference"]) <= TOLERANCES[format.name].difference
        assert abs(float(row["accuracy"]) - float(row["keras_accuracy"])) <= 0.01
    assert int(rows["litert"]["size_bytes"]) == (exported / "model.tflite").stat().st_size
    sizes = [int(rows[name]["size_bytes"]) for name in ("litert", "litert_fp16", "litert_int8")]
    assert sizes[0] > 1.5 * sizes[1] > 2 * sizes[2]


def test_files_and_numbers_are_kept_with_the_run(exported, trained_run):
    values = {key.name: key.default for key in RUN_KEYS}
    values |= {"run": trained_run.id, "paths.output_dir": str(trained_run.output_dir)}
    with trained.opened(values) as network:
        kept = network.results.list()
        metrics = network.metrics
    assert {f"export/{name}" for name in ("verification.csv", "README.md", "model.keras", "model.onnx")} <= set(kept)
    assert "export/saved_model/saved_model.pb" in kept
    for name, row in read_table(exported).items():
        assert metrics[f"export/{name}_accuracy"] == float(row["accuracy"])
        assert metrics[f"export/{name}_size_bytes"] == float(row["size_bytes"])
        assert metrics[f"export/{name}_max_difference"] == float(row["max_difference"])


def test_names_and_batch_of_the_onnx_file_say_what_they_are(exported):
    import onnx

    graph = onnx.load(exported / "model.onnx").graph
    (image,), (probabilities,) = graph.input, graph.output
    assert (image.name, probabilities.name) == ("image", "probabilities")
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert image.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_card_s_hashes_are_those_of_the_files(exported):
    rows = re.findall(r"\| `(\S+)` \| ([\d,]+) \| `([0-9a-f]{64})` \|", (exported / "README.md").read_text())
    files = {path.relative_to(exported).as_posix(): path for path in exported.rglob("*") if path.is_file()}
    assert {name for name, _, _ in rows} == set(files) - {"README.md"}
    for name, size, digest in rows:
        content = files[name].read_bytes()
        assert (int(size.replace(",", "")), digest) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_card_s_samples_run_and_say_what_keras_says(exported, network, data, monkeypatch, capsys):
    card = (exported / "README.md").read_text()
    reading, *samples = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(samples) == 4  # the three LiteRT files share one
    monkeypatch.chdir(exported)
    expected = network(trained.examples(data.test, 1)["image"])[0]
    assert f"with probability {expected.max():.4f}" in card
    for sample in samples:
        exec(reading + sample, {})
        label, probability = capsys.readouterr().out.split()
        assert label == network.class_names[expected.argmax()]
        assert float(probability) == pytest.approx(float(expected.max()), abs=1e-4)


def test_the_card_says_where_the_network_is_from(exported, network, data):
    card = (exported / "README.md").read_text()
    assert network.id in card
    assert f"{data.info.name} {data.info.version}" in card
    assert f"`{data.info.fingerprint}`" in card
    assert data.info.citation.strip() in card
    assert f"| test_accuracy | {network.metrics['test_accuracy']:.6g} |" in card
    assert "batch_size: 32" in card
    assert all(f"| {name} |" in card for name in NAMES)


def test_an_export_that_is_there_is_refused_and_replaced_only_if_asked(exporting, tmp_path, capsys):
    (tmp_path / "model.onnx").write_text("an older export")
    with pytest.raises(SystemExit) as exit:
        exporting(tmp_path, "format=keras")
    assert exit.value.code == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "overwrite=true" in error
    assert names(tmp_path) == ["model.onnx"]
    exporting(tmp_path, "format=keras", "overwrite=true", "log=false")
    assert names(tmp_path) == ["README.md", "example.png", "model.keras", "verification.csv"]


def test_a_directory_with_other_things_is_never_replaced(exporting, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SystemExit):
        exporting(tmp_path, "overwrite=true")
    assert "'thesis.tex', which no export makes" in capsys.readouterr().err
    assert names(tmp_path) == ["thesis.tex"]


def test_a_file_that_fails_its_check_is_not_kept_and_the_others_are(exporting, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(making.TOLERANCES, "litert", Tolerance(1e-12, 0.0, 0.0, 0.0, "too small"))
    with pytest.raises(SystemExit) as exit:
        exporting(tmp_path / "e", "format=keras,litert", "log=false")
    assert exit.value.code == 1
    out, err = capfd.readouterr()
    assert re.fullmatch(
        r"Error: litert is not kept: a probability differs from Keras by \S+e-0\d, tolerated 1e-12\n", err
    )
    assert "litert (not kept)" in out
    assert names(tmp_path / "e") == ["README.md", "example.png", "model.keras", "verification.csv"]
    assert read_table(tmp_path / "e")["litert"]["kept"] == "false"
    card = (tmp_path / "e" / "README.md").read_text()
    assert "Not kept: litert. a probability differs" in card
    assert "model.tflite" not in card


def test_an_interrupt_or_only_failures_leave_nothing(exporting, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making, "measure", interrupted)
        with pytest.raises(SystemExit) as exit:
            exporting(tmp_path / "e", "format=keras", "log=false")
    assert exit.value.code == 130
    assert names(tmp_path) == []
    monkeypatch.setitem(making.TOLERANCES, "keras", Tolerance(-1.0, 0.0, 0.0, 0.0, "none"))
    with pytest.raises(SystemExit) as exit:
        exporting(tmp_path / "e", "format=keras", "log=false")
    assert exit.value.code == 1
    assert "Error: no file gives the results of Keras, so none is kept." in capsys.readouterr().err
    assert names(tmp_path) == []


def test_without_its_packages_onnx_is_left_out_or_refused_naming_the_extra(exporting, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(SystemExit) as exit:
        exporting(tmp_path / "e", "format=keras,onnx")
    assert exit.value.code == 1
    assert capsys.readouterr().err == "Error: format=onnx needs tf2onnx: pip install 'kerasdl[onnx]'\n"
    assert [format.name for format in export._formats(None)] == NAMES[:-1]
    assert "onnx         skipped: needs tf2onnx: pip install 'kerasdl[onnx]'" in capsys.readouterr().out


def test_without_a_test_split_files_are_compared_on_another_and_it_is_said(network, data, capsys):
    from dataclasses import replace

    from kerasdl.export.source import Source

    source = Source(network.model, network.signature, {})
    assert export._check(source, data, "test", 10).split == "test"
    assert capsys.readouterr().err == ""
    check = export._check(source, replace(data, test=None), "test", 10**6)
    assert (check.split, len(check.labels)) == ("validation", data.validation.size)
    assert "no test split: files are compared on examples of validation" in capsys.readouterr().err
    assert export._check(source, replace(data, test=None, validation=None), "test", 10).split == "train"
