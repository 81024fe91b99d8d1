"""The command that gives a run's model a name. What replaces what is tested in tests/tracking."""

import shlex

import pytest

from kerasdl import register
from kerasdl.tracking.store import import_mlflow


@pytest.fixture(scope="module")
def store(tmp_path_factory, put_database):
    """An output directory with two runs that have models: (directory, the better run's id, the worse run's)."""
    from mlflow.entities import LoggedModelOutput

    directory = tmp_path_factory.mktemp("registered store")
    put_database(directory / "mlflow.db")
    client = import_mlflow().MlflowClient(f"sqlite:///{directory}/mlflow.db")
    experiment = client.create_experiment("kerasdl", artifact_location=str(directory / "artifacts"))
    ids = []
    for data, accuracy in (("mnist", 0.9), ("digits", 0.8)):
        run_id = client.create_run(experiment).info.run_id
        client.log_metric(run_id, "val_accuracy", accuracy)
        client.log_param(run_id, "data.name", data)
        model = client.create_logged_model(experiment, name="model", source_run_id=run_id)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 10)])
        client.finalize_logged_model(model.model_id, "READY")
        client.set_terminated(run_id)
        ids.append(run_id)
    return directory, *ids


@pytest.fixture
def registered(store, capsys):
    """Runs the command in this process and returns its rows, and what it warns of."""

    def run(*arguments):
        register.main([*arguments, f"paths.output_dir={store[0]}"])
        printed = capsys.readouterr()
        return dict(line.split(maxsplit=1) for line in printed.out.splitlines()), printed.err

    return run


@pytest.fixture
def fails(store, capsys):
    def run(*arguments, code=1):
        with pytest.raises(SystemExit) as caught:
            register.main([*arguments, f"paths.output_dir={store[0]}"])
        printed = capsys.readouterr()
        assert caught.value.code == code
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err

    return run


def test_it_says_what_it_did_and_how_to_serve(registered, store, fails):
    directory, good, bad = store
    rows, warned = registered(f"run={bad[:8]}", "name=net", "alias=champion")
    assert rows["model"] == f"models:/net@champion, version 1, of run {bad}"
    assert rows["result"] == "val_accuracy 0.8, nothing had the alias before"
    assert warned == ""
    rows, warned = registered("run=best", "name=net")
    assert rows["result"] == f"val_accuracy 0.9, before 0.8 (version 1, of run {bad})"
    assert warned.startswith("Warning: the previous model was trained on digits and this one on mnist")
    rows, warned = registered("run=models:/net@champion", "name=net")
    assert rows["model"] == f"models:/net@champion, version 2, of run {good}"
    assert rows["result"] == "val_accuracy 0.9, unchanged: it has the alias already"
    assert warned == ""
    assert shlex.split(rows["serve"]) == [
        f"MLFLOW_TRACKING_URI=sqlite:///{directory}/mlflow.db",
        *["mlflow", "models", "serve", "-m", "models:/net@champion", "--env-manager", "local", "-p", "5001"],
    ]
    assert fails("run=last", "name=net").startswith("Error: models:/net@champion stays version 2")


def test_with_the_address_in_the_environment_the_command_needs_none(registered, store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store[0]}/mlflow.db")
    rows, _ = registered("run=best", "name=other")
    assert rows["serve"].startswith("mlflow models serve -m models:/other@champion")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run=best"], "name=... must be given"),
        (["run=best", "name=a/b"], "name must be letters"),
        (["run=best", "name=a", "alias=v3"], "alias must be letters"),
        (["run=best", "name=a", "alias=Latest"], "alias must be letters"),
        (["run=best", "name=a", "force=yes"], "force must be true or false"),
    ],
)
def test_a_mistyped_argument(arguments, said, fails):
    assert said in fails(*arguments, code=2)


def test_runs_without_an_accuracy_are_compared_by_what_they_have(tmp_path, put_database, capsys):
    """By a loss, less of which is better, or by the metric that is named, in its own direction."""
    from mlflow.entities import LoggedModelOutput

    put_database(tmp_path / "mlflow.db")
    client = import_mlflow().MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("kerasdl", artifact_location=str(tmp_path / "artifacts"))
    for loss, r2 in ((0.5, 0.4), (0.6, 0.5)):
        run_id = client.create_run(experiment).info.run_id
        client.log_metric(run_id, "val_loss", loss)
        client.log_metric(run_id, "test_r2", r2)
        model = client.create_logged_model(experiment, name="model", source_run_id=run_id)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 10)])
        client.finalize_logged_model(model.model_id, "READY")
        client.set_terminated(run_id)
    place = f"paths.output_dir={tmp_path}"
    register.main(["run=best", "name=net", place])
    assert "val_loss 0.5, nothing had the alias before" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        register.main(["run=last", "name=net", place])
    assert "its val_loss is 0.5, and the new run's 0.6 is worse." in capsys.readouterr().err
    register.main(["run=best", "metric=test_r2", "name=net", place])
    assert "test_r2 0.5, before 0.4" in capsys.readouterr().out
