"""What a user trained with version 0.1.0 can be opened by this one, and its numbers come out again.

`runs-0.1.0.tar.xz` is the `mlruns` that these commands left in a checkout of that version, with its pictures reduced to
eight colours (N: model=image_classifier model.filters=[4,8] model.dense_units=16 data=digits data.batch_size=32
tracking.system_metrics=false tracking.experiment=digits tracking.interval=20 trainer.checkpoint.keep=1):

    python -m kerasdl.train N trainer.epochs=2 optimizer.learning_rate=0.2
    python -m kerasdl.train -m N trainer.epochs=2 optimizer.learning_rate=0.05,0.1 sweep.name=rates
    python -m kerasdl.train N trainer.epochs=30 optimizer.learning_rate=0.05      # SIGTERM in epoch 6

It stays as it is for good. It has also been moved: it was made in the home of a user who doesn't exist here.
"""

import importlib
import importlib.metadata
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kerasdl
from kerasdl.__main__ import module_of
from kerasdl.runs import folders
from kerasdl.tracking.environment import cpu_model

MADE_IN = Path("/home/student/kerasdl")
SETTINGS = [
    "model=image_classifier",
    "model.filters=[4,8]",
    "model.dense_units=16",
    "data=digits",
    "data.batch_size=32",
    "tracking.system_metrics=false",
    "tracking.experiment=digits",
    "tracking.interval=20",
    "trainer.checkpoint.keep=1",
]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    directory = tmp_path_factory.mktemp("old") / "mlruns"
    with tarfile.open(Path(__file__).parent / "runs-0.1.0.tar.xz") as archive:
        archive.extractall(directory, filter="data")
    return directory


@pytest.fixture(scope="module")
def records(unpacked):
    """The records of the finished run, the sweep's trials and the interrupted run."""
    found = [folder.record for folder in folders(unpacked)]
    trials = [record for record in found if record.config["optimizer"]["learning_rate"] in (0.05, 0.1)]
    return {
        "finished": next(record for record in found if record.config["optimizer"]["learning_rate"] == 0.2),
        "killed": next(record for record in found if record.status == "KILLED"),
        "trials": [record for record in trials if record.status == "FINISHED"],
    }


@pytest.fixture
def mlruns(unpacked, tmp_path, monkeypatch):
    """A copy for a test that changes it; commands run in the folder that holds it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(unpacked, tmp_path / "mlruns")
    yield tmp_path / "mlruns"
    assert not MADE_IN.exists()  # nothing goes to the place that it was moved from


def same_machine(record):
    """Returns whether equal bits are promised: the same processor and packages as the run had."""
    now = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return record.environment | now | {"processor": cpu_model()} == record.environment


def close(value, recorded, record):
    return value == (recorded if same_machine(record) else pytest.approx(recorded, abs=1e-5))


def command(name, *arguments):
    """Runs a command in this process; a failure is a SystemExit."""
    importlib.import_module(module_of(name)).main(list(arguments))


@pytest.mark.parametrize("which", ["last", "best", "rates", "models:/rates@best"])
def test_it_is_found_by_all_its_names(which, mlruns, records):
    experiment = "digits" if which in ("last", "best") else None
    network = kerasdl.load(
        which, output_dir=mlruns, experiment=experiment, checkpoint="last" if which == "last" else None
    )
    expected = {
        "last": records["killed"],
        "best": records["finished"],
    }.get(which, max(records["trials"], key=lambda record: record.metrics["val_accuracy"]))
    assert network.id == expected.run_id
    assert network(np.zeros((1, 8, 8, 1), np.uint8)).shape == (1, 10)


def test_evaluate_gives_its_numbers_to_the_bit(mlruns, records):
    record = records["finished"]
    command("evaluate", f"run={record.run_id}", "output=evaluation")
    summary = json.loads(Path("evaluation/test/summary.json").read_text())
    for name in ("loss", "accuracy"):
        assert close(summary["metrics"][name], record.metrics[f"test_{name}"], record)
    assert summary["equal_to_the_end_of_training"] is True or not same_machine(record)


def test_evaluate_of_the_best_checkpoint_gives_that_epochs_numbers(mlruns, records):
    from kerasdl.training.checkpoint_file import read

    record = records["killed"]
    (newest,) = mlruns.glob("runs/*/checkpoints/step-0000000246.npz")
    best = read(newest).values["best"]
    assert best["step"] == 164
    command("evaluate", f"run={record.run_id}", "checkpoint=best", "split=validation", "output=evaluation")
    summary = json.loads(Path("evaluation/validation/summary.json").read_text())
    assert close(summary["metrics"]["loss"], best["value"], record)
    assert summary["metrics"]["accuracy"] == pytest.approx(134 / 144)


def test_every_other_command_on_a_run_opens_it(mlruns, records, capsys):
    run = f"run={records['finished'].run_id}"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save("digit.png")
    command("predict", run, "input=digit.png")
    assert "digit.png" in capsys.readouterr().out
    command("explain", run, "input=digit.png", "method=saliency", "output=why")
    command("robustness", run, "attacks=fgsm", "norms=linf", "epsilons.linf=0.1", "corruptions=none", "examples=50")
    command("export", run, "format=keras", "output=handover", "examples=20")
    command("register", run, "name=digits", "alias=champion")
    command("report", run, "output=page.html")
    page = Path("page.html").read_text()
    assert "learning curves" in page.lower()
    assert "learning_rate" in page
    command("report", "sweep=rates")
    table = capsys.readouterr().out
    assert "66.67" in table
    assert "49.31" in table
    command("sync")
    assert "Nothing to send" in capsys.readouterr().out


def test_the_demo_opens_it(mlruns, records):
    pytest.importorskip("gradio")
    from kerasdl.demo import page

    demo = page.build(kerasdl.load(records["finished"].run_id, output_dir=mlruns))
    demo.close(verbose=False)


def test_the_interrupted_run_is_resumed(mlruns, records, capsys):
    record = records["killed"]
    result = kerasdl.run(kerasdl.compose([f"resume={record.run_id}", f"paths.output_dir={mlruns}"]))
    assert (result.status, result.run_id, result.steps) == ("FINISHED", record.run_id, 30 * 41)
    assert result.problems == ()
    assert result.history["val_loss"][3] == pytest.approx(0.2494, abs=1e-3)  # of version 0.1.0
    assert len(result.history["val_loss"]) == 30
    assert "other data" not in capsys.readouterr().err


def test_resume_auto_finds_it_by_its_configuration(mlruns, records):
    from kerasdl.runs import choose

    config = kerasdl.compose(
        [*SETTINGS, "trainer.epochs=30", "optimizer.learning_rate=0.05", "resume=auto", f"paths.output_dir={mlruns}"]
    )
    folder = choose(config)
    folder.unlock()
    assert folder.record.run_id == records["killed"].run_id


def test_the_sweep_typed_again_has_nothing_left_to_do(mlruns, records, command_in_process):
    said = command_in_process(
        "-m",
        *SETTINGS,
        "trainer.epochs=2",
        "optimizer.learning_rate=0.05,0.1",
        "sweep.name=rates",
        "sweep.dry_run=true",
    )
    assert "sweep rates: 2 trials, 0 to run" in said


@pytest.fixture
def command_in_process(monkeypatch, capsys):
    """Runs `kerasdl.train` in this process and returns what it prints."""

    def run(*arguments):
        from kerasdl import train

        monkeypatch.setattr("sys.argv", ["train", *arguments])
        train.main()
        return capsys.readouterr().out

    return run
