"""The command that sends the backlog of runs. What is sent, and that it is sent once, is tested in tests/tracking."""

import subprocess
import sys

import pytest

from kerasdl import sync
from kerasdl.runs import RunFolder
from kerasdl.tracking import entries
from kerasdl.tracking.journal import Journal, has_unsent

LOCKS = """
import sys
from pathlib import Path
from kerasdl.runs import RunFolder
folder = RunFolder.open(Path(sys.argv[1]))
folder.lock()
print("locked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def left_behind(tmp_path):
    """Makes runs that were killed before they could send anything; without `uri` in the default store."""

    def make(uri=None, run_id=None):
        folder = RunFolder.new(tmp_path, {"tracking": {"experiment": "killed", "run_name": "first"}}, "hash")
        folder.create()
        folder.update(tracking_uri=uri, run_id=run_id)
        journal = Journal(folder.tracking)
        journal.append(entries.metrics([("loss", 0.5)], 3, 0))
        journal.close()
        folder.unlock()
        return folder

    return make


def fails(capsys, *arguments, code=1):
    """Returns the error that `sync` prints."""
    with pytest.raises(SystemExit) as caught:
        sync.main(list(arguments))
    assert caught.value.code == code
    return capsys.readouterr().err


def test_nothing_to_do_is_no_failure(tmp_path, capsys):
    sync.main([f"paths.output_dir={tmp_path}"])
    assert capsys.readouterr().out.startswith("Nothing to send")


def test_runs_that_were_killed_early_are_created_and_sent_once(left_behind, tmp_path, capsys):
    import mlflow

    folders = [left_behind(), left_behind()]
    sync.main([f"paths.output_dir={tmp_path}"])
    records = [RunFolder.open(folder.path).record for folder in folders]
    assert capsys.readouterr().out == "".join(f"run {record.run_id}: 1 entry sent\n" for record in records)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    for record in records:
        run = client.get_run(record.run_id)
        assert run.data.metrics == {"loss": 0.5}
        assert run.info.run_name == "first"
        assert client.get_experiment(run.info.experiment_id).name == record.experiment == "killed"
    sync.main([f"paths.output_dir={tmp_path}"])
    assert capsys.readouterr().out.startswith("Nothing to send")


def test_what_a_sweep_left_is_sent_too(tmp_path, capsys):
    import mlflow

    from kerasdl.sweeps.parent_run import folder_of

    folder = folder_of(tmp_path, "search", "killed")
    folder.create()
    journal = Journal(folder.tracking)
    journal.append(entries.tags({"kerasdl.best_trial": "3"}))
    journal.close()
    folder.unlock()
    sync.main([f"paths.output_dir={tmp_path}"])
    run_id = RunFolder.open(folder.path).record.run_id
    assert capsys.readouterr().out == f"run {run_id}: 1 entry sent\n"
    run = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_run(run_id)
    assert (run.info.run_name, run.data.tags["kerasdl.best_trial"]) == ("search", "3")


def test_a_run_at_work_is_left_out(left_behind, tmp_path, capsys):
    folder = left_behind()
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKS, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "locked\n"
        said = fails(capsys, f"paths.output_dir={tmp_path}")
        assert said == f"Error: run {folder.id} is skipped: another process is using it, and sends its data itself.\n"
    finally:
        process.communicate("\n", timeout=20)
    assert has_unsent(folder.tracking)


def test_a_database_that_has_the_run_and_is_gone_is_not_replaced_by_another(left_behind, tmp_path, capsys):
    left_behind(f"sqlite:///{tmp_path}/gone/mlflow.db", run_id="abc")
    said = fails(capsys, f"paths.output_dir={tmp_path}")
    assert said.startswith("Error: run abc is in ")
    assert f"sqlite:///{tmp_path}/mlflow.db, is another one" in said
    assert not (tmp_path / "mlflow.db").exists()


def test_a_password_is_asked_for(left_behind, tmp_path, capsys):
    left_behind("postgresql://anna:***@db/runs", run_id="abc")
    said = fails(capsys, f"paths.output_dir={tmp_path}")
    assert said.startswith("Error: tracking.uri must be given, with its password, for run abc")


@pytest.mark.parametrize("argument", ["tracking.url=x", "paths.output_dir=", "now"])
def test_a_mistyped_argument_is_refused(argument, capsys):
    assert fails(capsys, argument, code=2).startswith("Error: arguments must be paths.output_dir=VALUE or")


def test_a_directory_that_is_not_there(tmp_path, capsys):
    assert "paths.output_dir must be a directory" in fails(capsys, f"paths.output_dir={tmp_path / 'no'}")


def test_what_the_artifact_store_refused_is_kept_and_sent_when_it_takes_it(config, tmp_path, capsys):
    import numpy as np

    import kerasdl

    output = tmp_path / "mlruns"
    output.mkdir()
    (output / "artifacts").touch()  # a file where MLflow wants a folder
    result = kerasdl.run(config("debug=one_batch", tracking="mlflow"))
    (problem,) = result.problems
    assert "refused requirements.txt, config.yaml, " in problem or "refused config.yaml, " in problem
    assert "is kept in" in problem
    assert f"python -m kerasdl.sync paths.output_dir={output}" in problem
    network = kerasdl.load(result.run_id, output_dir=output, checkpoint="last")  # needs nothing from that store
    assert network.image_shape == (8, 8, 1)
    assert "refused" in fails(capsys, f"paths.output_dir={output}")
    (output / "artifacts").unlink()
    sync.main([f"paths.output_dir={output}"])
    assert f"run {result.run_id}: " in capsys.readouterr().out
    sync.main([f"paths.output_dir={output}"])
    assert capsys.readouterr().out.startswith("Nothing to send")
    network = kerasdl.load(result.run_id, output_dir=output)
    images = np.zeros((2, 8, 8, 1), np.uint8)
    np.testing.assert_array_equal(network(images), result.model.predict(images, verbose=0))
    files = sorted(path.name for path in (output / "artifacts" / result.run_id / "artifacts").iterdir())
    assert {"config.yaml", "requirements.txt", "steps.csv", "learning_curves.png"} <= set(files)
