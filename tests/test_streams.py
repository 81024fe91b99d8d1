"""What is shown can never cost what was made: streams that lack characters, are full, closed or gone."""

import contextlib
import errno
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasdl import console, streams
from kerasdl.__main__ import module_of
from kerasdl.streams import Lasting, OutputLost, entry_point, lasting, readable

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
ENCODINGS = pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])


class Broken(io.StringIO):
    """A stream whose device fails from some moment on."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def write(self, text):
        if self.number:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


@contextlib.contextmanager
def standard_output(stream):
    """Lets `stream` be standard output, as a process would find it at its start."""
    with contextlib.redirect_stdout(stream):
        yield stream


def stream(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


def quoted(override):
    """Returns an override with its value in quotes, without which Hydra takes ASCII only."""
    key, _, value = override.partition("=")
    return f"{key}='{value}'"


def exit_code(main, *arguments):
    try:
        main(*arguments)
    except SystemExit as exit:
        return exit.code
    return 0


def test_what_an_encoding_lacks_is_replaced_by_what_it_has():
    assert readable("─┃ ±3.1 … ★ ⠋ café 数", "ascii") == b"-| +/-3.1 ... * - caf\\xe9 \\u6570"
    assert readable("─┃ ±3.1 … café", "latin-1") == "-| ±3.1 ... café".encode("latin-1")
    assert readable("─ 数", "utf-8") == "─ 数".encode()
    assert readable("scan\udcff.png", "utf-8") == b"scan\\udcff.png"


@ENCODINGS
def test_every_line_is_shown_in_every_encoding(encoding):
    with standard_output(stream(encoding)) as shown, lasting():
        console.row("state", "实验 ±")
        sys.stdout.writelines(["─", "\udcff\n"])
    text = shown.buffer.getvalue().decode(encoding)
    assert text == f"state      \\u5b9e\\u9a8c {'+/-' if encoding == 'ascii' else '±'}\n-\\udcff\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EPIPE])
def test_a_failure_is_remembered_and_what_comes_when_there_is_room_again_is_shown(number):
    broken = Broken(0)
    lasting_stream = Lasting(broken)
    lasting_stream.write("one ")
    broken.number = number
    lasting_stream.write("two ")
    broken.number = 0
    print("three", file=lasting_stream, flush=True)
    assert broken.getvalue() == "one three\n"
    assert lasting_stream.finish().errno == number


def test_a_stream_that_was_closed_is_no_problem_for_who_prints():
    closed = io.StringIO()
    closed.close()
    lasting_stream = Lasting(closed)
    print("lost", file=lasting_stream, flush=True)
    assert lasting_stream.error.errno == errno.EBADF


def test_other_mistakes_are_not_hidden():
    with pytest.raises(TypeError):
        Lasting(io.StringIO()).write(3)


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, "No space left on device"), (errno.EPIPE, "")])
def test_a_command_whose_output_was_lost_has_done_its_work_and_fails(number, told, capsys):
    done = []

    @entry_point()
    def main():
        print("first")
        done.append(True)

    with standard_output(Broken(number)):
        assert exit_code(main) == 1
    assert done
    error = capsys.readouterr().err
    line = f"Error: standard output can't be written ({told}); nothing else is lost.\n" if told else ""
    assert error == line


def test_a_worse_exit_code_stays_and_a_good_one_too(capsys):
    @entry_point()
    def main(code):
        print("shown")
        sys.exit(code)

    assert exit_code(main, 0) == 0
    with standard_output(Broken(errno.EPIPE)):
        assert exit_code(main, 130) == 130
        assert exit_code(main, 0) == 1


def test_a_process_without_standard_output(capsys):
    @entry_point()
    def main():
        assert not sys.stdout.isatty()
        print("nobody sees this", flush=True)

    with standard_output(None):
        assert exit_code(main) == 1
        assert sys.stdout is None
    assert "standard output can't be written" in capsys.readouterr().err


def test_streams_are_back_in_place_and_nested_ones_are_the_same():
    before = sys.stdout, sys.stderr
    with lasting() as outer:
        with lasting() as inner:
            assert inner == outer
        assert sys.stdout is outer[0]
    assert (sys.stdout, sys.stderr) == before


def test_data_arrives_unchanged_or_fails():
    with standard_output(stream("ascii")) as shown:
        print("text first")
        streams.send("数\n".encode())
    assert shown.buffer.getvalue() == "text first\n数\n".encode()
    with standard_output(None), pytest.raises(OutputLost):
        streams.send(b"row\n")


@FULL
def test_data_has_no_gaps():
    with open("/dev/full", "w") as full, standard_output(full), lasting() as (output, _):
        for row in (b"one\n", b"two\n"):
            with pytest.raises(OutputLost) as lost:
                streams.send(row)
            assert not lost.value.reader_left
        assert output.finish().errno == errno.ENOSPC


@FULL
@pytest.mark.parametrize(
    "name",
    ["benchmark", "demo", "evaluate", "explain", "export", "predict", "preview", "register", "report", "robustness",
     "sync", "train", "ui"],
)  # fmt: skip
def test_every_entry_point_notices_that_its_output_is_lost(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"kerasdl-{name}", "--help"])
    with open("/dev/full", "w") as full, standard_output(full):
        assert exit_code(importlib.import_module(module_of(name)).main) == 1
    assert capsys.readouterr().err.count("standard output can't be written (No space left on device)") == 1


NAMES = ["零", "café", "─ ±"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Overrides that say where data and results are: a set whose classes ASCII has no letters for, in such a folder."""
    import tensorflow_datasets as tfds

    class Characters(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image, label = tfds.features.Image(shape=(8, 8, 1)), tfds.features.ClassLabel(names=NAMES)
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict({"image": image, "label": label})
            )

        def _split_generators(self, manager):
            return {"train": self._generate_examples(96), "test": self._generate_examples(32)}

        def _generate_examples(self, count):
            for index in range(count):
                yield index, {"image": np.full((8, 8, 1), 80 * (index % 3) + index % 7, np.uint8), "label": index % 3}

    folder = tmp_path_factory.mktemp("数字")
    tfds.builder("characters", data_dir=folder / "tfds").download_and_prepare()
    return [f"paths.output_dir={folder / '结果'}", f"data.data_dir={folder / 'tfds'}"]


@pytest.fixture(scope="module")
def train(place):
    """Trains on that set by the command, within this process."""

    def run(*overrides):
        from kerasdl.train import main

        small = ["model=image_classifier", "data=tfds", "data.name=characters", "data.validation=0.25",
                 "trainer.epochs=1", "tracking.experiment='实验'", "tracking.run_name='─数'"]  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("HYDRA_FULL_ERROR", raising=False)  # another test's command may have left it
            patch.setattr(sys, "argv", ["kerasdl-train", *small, *map(quoted, place), *overrides])
            return exit_code(main)

    return run


@pytest.fixture(scope="module")
def run_id(place, train):
    """A run of those classes, trained with a standard output in ASCII."""
    with standard_output(stream("ascii")) as shown:
        assert train("tracking.system_metrics=false") == 0
    text = shown.buffer.getvalue().decode("ascii")
    assert "\\u7ed3\\u679c" in text
    assert "accuracy" in text
    return next(line.split()[1] for line in text.splitlines() if line.startswith("run "))


@pytest.fixture
def on_run(run_id, place, monkeypatch, tmp_path):
    """Runs a command on that run with a standard output, in the test's folder; returns its exit code."""

    def run(name, shown, *arguments):
        monkeypatch.chdir(tmp_path)
        main = importlib.import_module(module_of(name)).main
        with standard_output(shown):
            return exit_code(main, [f"run={run_id}", place[0], *arguments])

    return run


COMMANDS = [
    ("evaluate", ["output=evaluation"], "evaluation/test/classes.csv"),
    ("explain", ["output=why", "method=saliency"], "why"),
    ("robustness", ["output=stress", "attacks=fgsm", "epsilons.linf=0.1", "norms=linf", "corruptions=fog",
                    "severities=1"], "stress/corruptions.csv"),
    ("export", ["output=files", "format=keras", "examples=8"], "files/model.keras"),
    ("report", ["output=page.html"], "page.html"),
    ("register", ["name=characters"], None),
]  # fmt: skip
KEPT = [each for each in COMMANDS if each[0] in ("evaluate", "export")]


@pytest.mark.parametrize(("name", "arguments", "made"), COMMANDS, ids=[name for name, *_ in COMMANDS])
def test_every_command_on_a_run_shows_what_the_stream_can_encode(on_run, tmp_path, name, arguments, made):
    shown = stream("ascii")
    assert on_run(name, shown, *arguments, *(["log=false"] if made else [])) == 0
    assert shown.buffer.getvalue().decode("ascii")
    assert made is None or (tmp_path / made).exists()


@FULL
@pytest.mark.parametrize(("name", "arguments", "made"), KEPT, ids=[name for name, *_ in KEPT])
def test_every_command_on_a_run_keeps_what_it_made_if_it_cannot_show_it(
    on_run, tmp_path, capsys, name, arguments, made
):
    with open("/dev/full", "w") as full:
        assert on_run(name, full, *arguments, "log=false") == 1
    assert (tmp_path / made).exists()
    assert capsys.readouterr().err.count("Error") == 1


def test_results_over_seeds_are_shown_too(run_id, place):
    from kerasdl.report.__main__ import main

    with standard_output(stream("ascii")) as shown:
        assert exit_code(main, ["experiment=实验", place[0]]) == 0
    assert "experiment \\u5b9e\\u9a8c" in shown.buffer.getvalue().decode("ascii")


def test_rows_of_predictions_are_utf_8_whatever_the_terminal_has_and_a_table_is_for_the_terminal(on_run, tmp_path):
    from PIL import Image

    (tmp_path / "图").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "图" / "一.png")
    for kind in ("csv", "jsonl"):
        rows = [stream("utf-8"), stream("ascii")]
        assert [on_run("predict", shown, "input=图", f"format={kind}", "log=false") for shown in rows] == [0, 0]
        assert rows[0].buffer.getvalue() == rows[1].buffer.getvalue()
    assert on_run("predict", table := stream("ascii"), "input=图", "format=table", "log=false") == 0
    assert "\\u56fe/\\u4e00.png" in table.buffer.getvalue().decode("ascii")


@FULL
def test_the_run_gets_the_whole_table_if_standard_output_is_full(on_run, run_id, place, tmp_path, capsys):
    from PIL import Image

    from kerasdl.tracking.store import import_mlflow

    for number in range(3):
        Image.new("L", (8, 8)).save(tmp_path / f"{number}.png")
    with open("/dev/full", "w") as full:
        assert on_run("predict", full, "input=*.png", "batch_size=2") == 1
    assert "standard output can't be written (No space left on device)" in capsys.readouterr().err
    client = import_mlflow().MlflowClient(f"sqlite:///{place[0].partition('=')[2]}/mlflow.db")
    (kept,) = client.list_artifacts(run_id, "predictions")
    rows = Path(client.download_artifacts(run_id, kept.path, str(tmp_path))).read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["file", "0.png", "1.png", "2.png"]


@FULL
def test_training_ends_as_usual_if_nothing_of_it_can_be_shown(train, place, capsys):
    from kerasdl.tracking.store import import_mlflow

    with open("/dev/full", "w") as full, standard_output(full):
        assert train("tracking.experiment=full", "tracking.system_metrics=false") == 1
    assert capsys.readouterr().err.count("standard output can't be written") == 1
    client = import_mlflow().MlflowClient(f"sqlite:///{place[0].partition('=')[2]}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("full").experiment_id])
    assert run.info.status == "FINISHED"
    assert "test_accuracy" in run.data.metrics


def test_a_sweeps_display_and_the_other_commands_show_what_they_can(run_id, place, monkeypatch):
    from kerasdl import preview, sync, ui
    from kerasdl.sweeps.display import Display
    from kerasdl.sweeps.trials import Objective
    from kerasdl.tracking import server

    with standard_output(stream("ascii")) as shown, lasting():
        Display("数", [Objective("accuracy", True)], 1, 1, 1).say("trial 0: 数 …")
    assert shown.buffer.getvalue() == b"trial 0: \\u6570 ...\n"
    with standard_output(stream("ascii")) as shown:
        assert exit_code(sync.main, [place[0]]) == 0
        monkeypatch.setattr(server, "serve", lambda store, host, port: print(store.describe()))
        assert exit_code(ui.main, [place[0]]) == 0
        monkeypatch.setattr(sys, "argv", ["kerasdl-preview", "data=tfds", "data.name=characters", *map(quoted, place)])
        assert exit_code(preview.main) == 0
    assert shown.buffer.getvalue().decode("ascii").count("\\u7ed3\\u679c") >= 2


def test_a_trials_log_is_utf_8_whatever_the_terminal_has(tmp_path):
    program = (
        "from pathlib import Path; from kerasdl.sweeps.executors import worker\n"
        "worker._redirect(Path('log')); print('数 ±')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parent.parent)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "数 ±\n"


def test_an_export_in_a_process_whose_output_is_latin_1_and_that_has_only_the_tracking_address(
    command, trained_run, tmp_path
):
    place = [f"run={trained_run.id[:12]}", f"tracking.uri=sqlite:///{trained_run.output_dir}/mlflow.db"]
    made = ["output=files", "log=false", "format=keras", "examples=8"]
    ended = command("export", *place, *made, PYTHONIOENCODING="latin-1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "--------" in ended.stdout
    assert trained_run.id in (tmp_path / "files" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
