from types import SimpleNamespace

import pytest

from kerasdl.config.schema import Paths, Tracking
from kerasdl.errors import TrackingError, UserError
from kerasdl.tracking import reading
from kerasdl.tracking.reading import Reader
from kerasdl.tracking.store import import_mlflow


@pytest.fixture(scope="module")
def read_config(tmp_path_factory):
    directory = tmp_path_factory.mktemp("read store")
    return SimpleNamespace(paths=Paths(output_dir=str(directory)), tracking=Tracking())


@pytest.fixture(scope="module")
def client(read_config):
    client = import_mlflow().MlflowClient(f"sqlite:///{read_config.paths.output_dir}/mlflow.db")
    for name in ("digits", "mnist", "nothing"):
        client.create_experiment(name, artifact_location=f"{read_config.paths.output_dir}/artifacts")
    return client


@pytest.fixture(scope="module")
def make(client):
    """Makes a run in the experiment; returns its id."""

    def make(experiment="digits", *, status="FINISHED", metrics=(), params=(), start=1, **tags):
        from mlflow.entities import Metric, Param

        found = client.get_experiment_by_name(experiment).experiment_id
        run = client.create_run(found, start_time=start, tags={k.replace("__", "."): v for k, v in tags.items()})
        points = [Metric(key, value, 0, step) for key, value, step in metrics]
        client.log_batch(run.info.run_id, metrics=points, params=[Param(*item) for item in dict(params).items()])
        if status != "RUNNING":
            client.set_terminated(run.info.run_id, status, end_time=start + 5)
        return run.info.run_id

    return make


@pytest.fixture(scope="module")
def make_sweep(make):
    def make_sweep(name, trials=(), start=1, experiment="digits", metric="val_accuracy", direction="maximize"):
        """Makes a sweep and a trial for each dict of `make`'s arguments; returns the parent's id and theirs."""
        own = {"kerasdl__metric": metric, "kerasdl__direction": direction} if metric else {}
        parent = make(experiment, start=start, kerasdl__sweep=name, kerasdl__kind="sweep", **own)
        of = {"kerasdl__sweep": name, "mlflow__parentRunId": parent}
        return parent, [make(experiment, **of, **trial) for trial in trials]

    return make_sweep


@pytest.fixture
def reader(read_config, client):
    return Reader(read_config)


def test_a_sweep_has_its_trials_and_what_it_looks_for(make_sweep, make, reader):
    trials = [
        {"metrics": [("val_accuracy", 0.7, 10), ("val_accuracy", 0.9, 20)], "params": {"seed": "3"}, "start": 7},
        {"status": "RUNNING", "start": 8},
        {"kerasdl__state": "PRUNED"},
        {"status": "FAILED"},
        {"status": "KILLED"},
    ]
    _, ids = make_sweep('lr\'s "own"', trials, metric="val_accuracy,val_loss", direction="maximize, minimize")
    make(kerasdl__sweep='lr\'s "own"')  # not a trial
    sweep = reader.sweep('lr\'s "own"')
    assert dict(sweep.maximize) == {"val_accuracy": True, "val_loss": False}
    assert sweep.older == 0
    found = {run.id: run for run in sweep.runs}
    assert set(found) == set(ids)
    assert [found[id].state for id in ids] == ["FINISHED", "RUNNING", "PRUNED", "FAILED", "KILLED"]
    first = found[ids[0]]
    assert (dict(first.metrics), dict(first.params), first.ended) == ({"val_accuracy": 0.9}, {"seed": "3"}, 12)
    assert found[ids[1]].ended == 8


def test_of_sweeps_with_one_name_the_newest_counts_wherever_it_is(make_sweep, reader):
    make_sweep("twice", [{}], start=20)
    _, ids = make_sweep("twice", [{}], start=30, experiment="mnist")
    make_sweep("twice", [{}], start=10)
    sweep = reader.sweep("twice")
    assert [run.id for run in sweep.runs] == ids
    assert sweep.older == 2


def test_a_sweep_that_does_not_say_what_it_looks_for_can_be_read(make_sweep, reader):
    make_sweep("silent", [{}], metric=None)
    assert reader.sweep("silent").maximize == {}


def test_tags_that_do_not_match_are_an_error(make_sweep, reader):
    make_sweep("odd", metric="a,b", direction="maximize")
    with pytest.raises(TrackingError, match=r"must have a kerasdl\.direction for each kerasdl\.metric"):
        reader.sweep("odd")


def test_an_unknown_sweep_is_refused_with_the_nearest_name(make_sweep, reader):
    make_sweep("batch-sizes")
    with pytest.raises(UserError, match=r"there is no sweep 'batch-size' .* Did you mean 'batch-sizes'\?"):
        reader.sweep("batch-size")


def test_more_runs_than_a_page_are_all_read(make_sweep, reader, monkeypatch):
    _, ids = make_sweep("many", [{}] * 7)
    monkeypatch.setattr(reading, "_PAGE", 2)
    assert sorted(run.id for run in reader.sweep("many").runs) == sorted(ids)
    assert len({run.id for run in reader.experiment("digits")}) >= 7


def test_an_experiment_has_its_runs_but_not_the_sweeps_own(make_sweep, make, reader):
    parent, trials = make_sweep("of mnist", [{}], experiment="mnist")
    alone = make("mnist")
    ids = [run.id for run in reader.experiment("mnist")]
    assert {alone, *trials} <= set(ids)
    assert parent not in ids
    assert reader.experiment("nothing") == []
    with pytest.raises(UserError, match=r"there is no experiment 'mnits' .* Did you mean 'mnist'\?"):
        reader.experiment("mnits")


def test_runs_are_found_by_their_ids_and_beginnings(make, reader):
    one, other = make(), make("mnist")
    assert [run.id for run in reader.runs([one, other[:12], one[:20]])] == [one, other]


def test_ids_that_name_no_run_or_several(make, make_sweep, reader, client):
    for _ in range(17):  # there are only 16 first digits, so some occur twice
        make()
    ids = [run.id for run in reader.experiment("digits")]
    digit = next(id[0] for id in ids if sum(other.startswith(id[0]) for other in ids) > 1)
    with pytest.raises(UserError, match=f"'{digit}' fits .* Type more of the id"):
        reader.runs([digit])
    deleted = make()
    client.delete_run(deleted)
    for text in (deleted, "zzzz", "%", "_", "a' OR 1=1"):
        with pytest.raises(UserError, match="there is no run"):
            reader.runs([text])
    parent, _ = make_sweep("whole")
    with pytest.raises(UserError, match="sweep=whole"):
        reader.runs([parent])


def test_training_time_is_the_sum_over_the_epochs(make, reader):
    make_one = make(metrics=[("seconds", 1.5, 10), ("seconds", 2.0, 20), ("seconds", 0.5, 30)])
    one, none = reader.runs([make_one, make()])
    assert reader.training_seconds(one) == 4.0
    assert reader.training_seconds(none) is None


def test_a_place_without_runs_is_an_error(tmp_path):
    config = SimpleNamespace(paths=Paths(output_dir=str(tmp_path / "none")), tracking=Tracking())
    with pytest.raises(TrackingError, match=r"python -m kerasdl\.train"):
        Reader(config)
    assert not (tmp_path / "none").exists()


def test_a_store_that_mlflow_can_not_open_is_an_error_of_one_line(tmp_path):
    config = SimpleNamespace(paths=Paths(output_dir=str(tmp_path)), tracking=Tracking(uri="gopher://a:secret@b/c"))
    with pytest.raises(TrackingError, match=r"tracking\.uri must be a store that MLflow can use") as caught:
        Reader(config)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_is_read_like_a_database(server, tmp_path):
    from mlflow.entities import Metric

    config = SimpleNamespace(paths=Paths(output_dir=str(tmp_path)), tracking=Tracking(uri=server.uri))
    client = import_mlflow().MlflowClient(server.uri)
    experiment = client.create_experiment("read over HTTP")
    tags = {"kerasdl.sweep": "far", "kerasdl.kind": "sweep", "kerasdl.metric": "loss", "kerasdl.direction": "minimize"}
    parent = client.create_run(experiment, tags=tags).info.run_id
    trial = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
    client.log_batch(trial, metrics=[Metric("seconds", 1.5, 0, 10), Metric("seconds", 2.0, 0, 20)])
    reader = Reader(config)
    sweep = reader.sweep("far")
    assert [run.id for run in sweep.runs] == [run.id for run in reader.runs([trial[:20]])] == [trial]
    assert sweep.maximize == {"loss": False}
    assert reader.training_seconds(sweep.runs[0]) == 3.5
