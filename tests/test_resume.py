"""`resume=` as a user types it, mostly in real processes: after signals, after the end, at once, on a full disk."""

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import kerasdl
from kerasdl import compose, data, train
from kerasdl.runs import folders

ROOT = Path(__file__).parent.parent


@pytest.fixture
def start(tmp_path):
    """Starts a training in the test's folder; whatever still runs at the end is killed."""
    processes = []

    def started(*arguments):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "kerasdl.train", *arguments],
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )
        )  # fmt: skip
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def wait_for_epoch(process, number):
    for line in process.stdout:
        if re.match(rf"epoch +{number}/", line):
            return
    pytest.fail(f"the process ended with {process.wait()} before epoch {number}")


def shown(text, name):
    return re.search(rf"^{name} +(.*)$", text, re.MULTILINE)[1]


@pytest.fixture
def client(tmp_path):
    import mlflow

    return lambda: mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")


def points(client, run_id, key):
    return sorted((point.step, point.value) for point in client.get_metric_history(run_id, key))


def check_killed(run, client, rest):
    """A run that a signal has ended is killed, with what there was until then."""
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert run.info.status == "KILLED"
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) >= 3
    assert "test_loss" not in run.data.metrics


def test_sigterm_saves_and_the_command_that_is_shown_resumes_until_ctrl_c(start, client, fast, used_store):
    process = start(*fast, "trainer.epochs=400", "trainer.checkpoint.every=100epochs")
    wait_for_epoch(process, 3)
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 143, rest
    assert "The run can be resumed" in rest
    run_id = shown(rest, "run")
    check_killed(client().get_run(run_id), client(), rest)
    again = shown(rest, "resume").removeprefix("python -m kerasdl.train ").split()
    assert again == [f"resume={run_id}"]  # nothing else needs to be typed
    process = start(*again)
    wait_for_epoch(process, 20)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 130, rest
    assert shown(rest, "run") == run_id
    run = client().get_run(run_id)
    check_killed(run, client(), rest)
    assert "learning_curves.png" in {item.path for item in client().list_artifacts(run_id)}
    assert run.data.tags["kerasdl.resumed"] == "1"
    epochs = points(client(), run_id, "val_loss")
    assert [step for step, _ in epochs] == [41 * number for number in range(1, len(epochs) + 1)]


def test_a_closed_terminal_saves_and_the_run_goes_on(in_terminal, client, fast, used_store, tmp_path):
    """Also one that is lost with an ssh connection: both send SIGHUP, and then refuse all that is shown."""
    overrides = [*fast, "trainer.checkpoint.every=100epochs", "trainer.checkpoint.best=null"]
    terminal = in_terminal(*overrides, "trainer.epochs=400")
    terminal.wait_for("epoch +3/400")
    assert terminal.close() == 128 + signal.SIGHUP
    (folder,) = folders(tmp_path / "mlruns")
    assert folder.record.status == client().get_run(folder.record.run_id).info.status == "KILLED"
    (saved,) = folder.checkpoints.glob("step-*.npz")
    assert int(saved.stem.partition("-")[2]) > 2 * 41


@pytest.mark.slow  # in one process: tests/training/test_exact_resume.py
def test_a_finished_run_is_prolonged_in_place_and_equals_a_long_one(command, client, fast, used_store):
    first = command("train", *fast)
    run_id = shown(first.stdout, "run")
    longer = command("train", f"resume={run_id}", "trainer.epochs=3")
    assert longer.returncode == 0, longer.stderr
    whole = command("train", *fast, "trainer.epochs=3")
    assert shown(longer.stdout, "run") == run_id != shown(whole.stdout, "run")
    assert shown(longer.stdout, "weights") == shown(whole.stdout, "weights") != shown(first.stdout, "weights")
    assert shown(longer.stdout, "test") == shown(whole.stdout, "test")
    for key in ("loss", "val_accuracy", "learning_rate"):
        assert points(client(), run_id, key) == points(client(), shown(whole.stdout, "run"), key)
    run = client().get_run(run_id)
    assert run.info.status == "FINISHED"
    assert (
        run.data.tags["kerasdl.config_hash"]
        == client().get_run(shown(whole.stdout, "run")).data.tags["kerasdl.config_hash"]
    )


def test_the_same_command_gives_the_same_weights_in_another_process(start, fast, tmp_path):
    overrides = [*fast, "tracking=none", "model.dropout=0.5", "data.augmentation.shift=0.1", "trainer.epochs=1"]
    process = start(*overrides)
    place = f"paths.output_dir={tmp_path / 'here'}"
    first, other = (kerasdl.run(compose([*overrides, place, f"seed={seed}"])).weights for seed in (0, 1))
    again = shown(process.communicate(timeout=120)[0], "weights").split()[0]
    assert first == again != other


def test_a_second_process_is_refused_and_a_dead_ones_lock_is_not_in_the_way(
    start, command, fast, tmp_path, monkeypatch, capsys
):
    overrides = [*fast, "tracking=none", "trainer.epochs=100000", "resume=auto"]
    first = start(*overrides)
    wait_for_epoch(first, 2)
    second = command("train", *overrides)
    assert second.returncode == 1
    host = os.uname().nodename
    assert re.fullmatch(rf"Error: run \S+ is in use by process {first.pid} on host {host}\. .*\n", second.stderr)
    first.kill()
    first.wait()
    monkeypatch.chdir(tmp_path)
    kerasdl.run(compose(overrides), should_prune=lambda *_: True)
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith(("resumes", "epoch"))).startswith("resumes")


@pytest.fixture
def full_disk():
    """No file of this process can be longer than 100 kB, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def decoded(fast):
    """The data is there already, in files that are longer."""
    conf = compose(fast)
    data.load(conf.data, conf.seed, conf.paths.cache_dir)


def test_a_full_disk_does_not_stop_training_but_is_an_error_at_its_end(
    decoded, typed, fast, full_disk, tmp_path, capsys
):
    with pytest.raises(SystemExit) as caught:
        typed(train.main, *fast, "tracking=none")
    assert caught.value.code == 1
    output = "".join(capsys.readouterr())
    assert output.count("training continues, and earlier checkpoints are intact") == 1
    assert "test       loss" in output
    assert re.search(r"Error: the last checkpoint couldn't be written to \S+ \(File too large\)", output)
    assert "Traceback" not in output
    assert not list(tmp_path.rglob("*.npz"))
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(("resume", "message"), [
    ("0123456789abcdef", "resume: there is no run 0123456789abcdef under"),
    ("al", "resume must be never, auto, or at least the first 4 characters of a run's id. Received: 'al'"),
])  # fmt: skip
def test_a_run_that_is_not_there_is_told(command, resume, message):
    ended = command("train", f"resume={resume}", "tracking=none")
    assert ended.returncode in (1, 2)
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1
