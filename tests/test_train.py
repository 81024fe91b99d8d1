"""`python -m kerasdl.train`, in real processes and in this one: what it prints and leaves in MLflow, how it ends."""

import contextlib
import csv
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

import kerasdl
from kerasdl import train

ROOT = Path(__file__).parent.parent


@pytest.fixture
def client(tmp_path):
    """MLflow's own client on the runs that the test's processes left."""
    import mlflow

    return lambda: mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")


def the_run(client, experiment="kerasdl"):
    [run] = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


def read_to_the_end(screen):
    """Returns what a terminal has shown when the last who wrote to it has closed it."""
    parts = []
    with contextlib.suppress(OSError):  # Linux's end of a pseudo-terminal
        while part := os.read(screen, 65536):
            parts.append(part)
    os.close(screen)
    return b"".join(parts).decode()


def start(folder, *arguments, **environment):
    """Starts a training that the test will interrupt or run beside others."""
    return subprocess.Popen(
        [sys.executable, "-m", "kerasdl.train", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_run_from_the_command_to_mlflows_client(command, client, fast, tmp_path):
    ended = command("train", *fast, "optimizer=adam")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    lines = ended.stdout.splitlines()
    shown = {line.split()[0]: line for line in lines}
    assert re.search(r"digits 1\.0\.0: .* train, .* validation, 360 test, 8x8x1, 10 classes", shown["data"])
    assert re.search(r"image_classifier \(sequential\), 53,002 parameters", shown["model"])
    assert sum(line.startswith("epoch ") for line in lines) == 2
    accuracy = re.search(r"accuracy (\d+)/360 \((\d+\.\d\d) %\)", shown["test"])
    assert accuracy
    run_id = shown["run"].split()[1]
    assert lines[-1].split(maxsplit=1)[1] == "python -m kerasdl.ui"
    assert "\x1b" not in ended.stdout  # no bar where there is no terminal

    run = client().get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_accuracy"] == pytest.approx(int(accuracy[1]) / 360, abs=1e-6)
    assert run.data.params["optimizer.learning_rate"] == "0.001"
    assert run.data.params["data.name"].startswith("digits")
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "examples_per_second", "interval/loss",
            "interval/memory_gb", "epoch"} <= set(run.data.metrics)  # fmt: skip
    [used] = run.inputs.dataset_inputs
    assert (used.dataset.name, bool(used.dataset.digest)) == ("digits", True)

    steps = int(max(point.step for point in client().get_metric_history(run_id, "epoch")))
    rates = client().get_metric_history(run_id, "learning_rate")
    assert sorted(point.step for point in rates) == list(range(steps))
    assert len(client().get_metric_history(run_id, "val_loss")) == 2

    names = {item.path for item in client().list_artifacts(run_id)}
    assert {"config.yaml", "steps.csv", "learning_curves.png", "confusion_matrix.png", "requirements.txt"} <= names
    text = Path(client().download_artifacts(run_id, "steps.csv")).read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(steps))
    assert (tmp_path / "mlruns" / "mlflow.db").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlruns"]  # nothing else is left behind


@pytest.mark.slow  # fewer at once: tests/tracking/test_processes.py, tests/data/test_preparation.py
def test_five_processes_start_at_once_on_an_empty_machine(fast, client, tmp_path):
    """No data prepared, no cache, no database: all end well, and none loses a metric."""
    empty = {"TFDS_DATA_DIR": str(tmp_path / "tfds"), "KERASDL_CACHE_DIR": str(tmp_path / "cache")}
    processes = [start(tmp_path, *fast, f"seed={seed}", "trainer.threads=1", **empty) for seed in range(5)]
    outputs = [process.communicate(timeout=280)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 5, outputs
    experiment = client().get_experiment_by_name("kerasdl")
    runs = client().search_runs([experiment.experiment_id])
    assert {run.data.params["seed"] for run in runs} == set(map(str, range(5)))
    for run in runs:
        assert run.info.status == "FINISHED"
        assert len(client().get_metric_history(run.info.run_id, "val_loss")) == 2


def test_two_ctrl_cs_end_the_process_at_once(fast, tmp_path):
    """The callback waits for the second while the first is being answered, as a long upload would."""
    waiting = (
        "import signal, threading, sys\n"
        "from kerasdl.training.interrupts import Interrupts\n"
        "Interrupts.second = signal.SIG_DFL\n"
        "with Interrupts() as interrupts:\n"
        "    print('ready', flush=True)\n"
        "    while not interrupts.requested:\n"
        "        signal.pause()\n"
        "print('first', flush=True)\n"
        "threading.Event().wait()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", waiting], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "first\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT


def test_a_failing_run_is_failed_with_its_traceback(typed, client, fast, capsys):
    with pytest.raises(SystemExit) as caught:
        typed(train.main, *fast, "optimizer.learning_rate=1e30", "model.activation=linear")
    assert caught.value.code == 1
    assert re.fullmatch(r"Error: the loss is (nan|inf) at step \d+ .*\n", capsys.readouterr().err)
    run = the_run(client())
    assert run.info.status == "FAILED"
    text = Path(client().download_artifacts(run.info.run_id, "error/traceback.txt")).read_text()
    assert "TrainingError" in text
    assert "interval/loss" in run.data.metrics  # what there was up to the failure is kept
    assert "steps.csv" in {item.path for item in client().list_artifacts(run.info.run_id)}


@pytest.mark.slow  # the same in pieces: tests/sweeps
def test_multirun_runs_every_combination_even_behind_a_failing_one(command, client, fast, used_store):
    ended = command("train", "-m", *fast, "trainer.epochs=1", "model.activation=linear",
                    "optimizer.learning_rate=1e30,0.01", "seed=0,1")  # fmt: skip
    assert ended.returncode == 1
    assert len(re.findall(r"Error: trial \d \(learning_rate=1e\+30 seed=\d\): the loss is", ended.stderr)) == 2
    assert "Error: 2 of 4 trials failed" in ended.stderr
    found = client().search_runs([client().get_experiment_by_name("kerasdl").experiment_id])
    runs = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    assert len({(run.data.params["optimizer.learning_rate"], run.data.params["seed"]) for run in runs}) == 4
    assert sorted(run.info.status for run in runs) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]


def test_a_store_that_cannot_be_opened_ends_training_at_once(command, client, fast, used_store):
    client().delete_experiment(client().create_experiment("kerasdl"))
    ended = command("train", *fast, "trainer.epochs=1000000")
    assert ended.returncode == 1
    assert re.fullmatch(r"Error: tracking.experiment must name an experiment that isn't deleted.*\n", ended.stderr)


def test_a_terminal_shows_a_bar_that_goes_and_lines_that_stay(config, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    screen, inside = os.openpty()
    with ThreadPoolExecutor() as pool:
        shown = pool.submit(read_to_the_end, screen)
        with open(inside, "w", encoding="utf-8") as terminal, contextlib.redirect_stdout(terminal):
            assert kerasdl.run(config("trainer.epochs=4")).status == "FINISHED"
    text = shown.result()
    assert "━" in text
    assert "left" in text
    assert re.search(r"epoch 4/4 .*examples/s .*left", text)
    assert len(re.findall(r"epoch \d/4  loss [\d.]+  accuracy [\d.]+  val_loss", text)) == 4


def test_the_shell_completes_groups_and_options():
    code = "from kerasdl.train import main; import sys; sys.argv = ['kerasdl-train', '-sc', 'query=bash']; main()"
    line = "kerasdl-train optimizer=ada"
    environment = {**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line)), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert {"optimizer=adam", "optimizer=adamw"} <= set(ended.stdout.split()), ended.stderr


class Colours(tfds.core.GeneratorBasedBuilder):
    """Small synthetic colour images of ten classes."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image, label = tfds.features.Image(shape=(32, 32, 3)), tfds.features.ClassLabel(num_classes=10)
        features = tfds.features.FeaturesDict({"image": image, "label": label})
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

    def _split_generators(self, manager):
        return {"train": self._generate_examples(320, 0), "test": self._generate_examples(100, 1)}

    def _generate_examples(self, count, seed):
        rng = np.random.default_rng(seed)
        for index in range(count):
            label = index % 10
            noise = rng.integers(0, 60, (32, 32, 3), dtype=np.uint8)
            noise[..., label % 3] += np.uint8(19 * label)
            yield index, {"image": noise, "label": label}


def test_colour_images_train_with_the_cifar_recipe(typed, capsys, tmp_path):
    """The recipe of conf/experiment on a TFDS data set that the test makes."""
    tfds.builder("colours", data_dir=tmp_path / "tfds").download_and_prepare()
    typed(train.main, "experiment=cifar10_image_classifier", "data.name=colours", f"data.data_dir={tmp_path / 'tfds'}",
          "data.validation=0.1", "trainer.epochs=2", "optimizer.learning_rate=0.01", "tracking=none")  # fmt: skip
    shown = capsys.readouterr().out
    assert "image_classifier (sequential), 545,098 parameters" in shown
    assert "32x32x3" in shown
