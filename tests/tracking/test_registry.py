"""Models under permanent names: a sweep's best, and a champion that is only replaced by a better one."""

import threading

import pytest
from mlflow.entities import LoggedModelOutput

from kerasdl import tracking
from kerasdl.errors import TrackingError, UserError
from kerasdl.tracking import lookup
from kerasdl.tracking.registry import register, register_best
from kerasdl.tracking.store import experiment_id


@pytest.fixture
def store(config):
    return tracking.locate(config)


@pytest.fixture
def client(store):
    return store.connect()


@pytest.fixture
def run(client, config, store):
    """Makes a run that logged models at given steps; returns the run's id and the models' places."""

    def make(*steps, **metrics):
        experiment = experiment_id(client, config.tracking.experiment, store)
        run_id = client.create_run(experiment).info.run_id
        for name, value in metrics.items():
            client.log_metric(run_id, name, value)
        places = []
        for step in steps:
            model = client.create_logged_model(experiment, name="model", source_run_id=run_id)
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
            client.finalize_logged_model(model.model_id, "READY")
            places.append(model.artifact_location)
        client.set_terminated(run_id)
        return run_id, places

    return make


def best(client, name):
    return client.get_model_version_by_alias(name, "best")


def test_the_best_runs_model_has_a_name_that_stays(client, store, run):
    run_id, (place,) = run(40)
    assert register_best(store, "learning_rate-1", run_id) == "models:/learning_rate-1@best"
    version = best(client, "learning_rate-1")
    assert (version.run_id, version.source, version.status) == (run_id, place, "READY")


def test_of_several_models_of_a_run_it_is_the_last(client, store, run):
    run_id, places = run(40, 120, 80)
    register_best(store, "learning_rate-2", run_id)
    assert best(client, "learning_rate-2").source == places[1]


def test_the_same_again_registers_nothing_new(client, store, run):
    run_id, _ = run(40)
    for _ in range(2):
        assert register_best(store, "learning_rate-3", run_id) == "models:/learning_rate-3@best"
    assert len(client.search_model_versions("name = 'learning_rate-3'")) == 1


def test_a_better_run_takes_the_name_over_and_may_lose_it_again(client, store, run):
    (first, _), (second, _) = run(40), run(40)
    for run_id in (first, second, first):
        register_best(store, "learning_rate-4", run_id)
        assert best(client, "learning_rate-4").run_id == run_id
    assert len(client.search_model_versions("name = 'learning_rate-4'")) == 2


def test_a_run_that_went_on_and_logged_another_model_is_registered_again(client, store, config, run):
    run_id, _ = run(40)
    register_best(store, "learning_rate-5", run_id)
    experiment = experiment_id(client, config.tracking.experiment, store)
    model = client.create_logged_model(experiment, name="model", source_run_id=run_id)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 80)])
    register_best(store, "learning_rate-5", run_id)
    assert best(client, "learning_rate-5").source == model.artifact_location


def test_without_a_model_there_is_nothing_to_register(client, store, run):
    run_id, _ = run()
    assert register_best(store, "learning_rate-6", run_id) is None
    assert client.search_registered_models("name = 'learning_rate-6'") == []


def test_a_missing_run_is_an_error_of_one_line(store, client):
    with pytest.raises(
        TrackingError, match=r"^the model of run no-such couldn't be registered as learning_rate-7: "
    ) as caught:
        register_best(store, "learning_rate-7", "no-such")
    assert "\n" not in str(caught.value)


@pytest.fixture
def champion(config, run):
    """Registers a new run, or the one that is named, as champion; returns (the run's id, what was done)."""

    def champion(name, run_id=None, metric=None, force=False, direction=None, **metrics):
        run_id = run_id or run(40, **metrics)[0]
        return run_id, register(lookup.find(config, run_id), name, "champion", metric, force, direction)

    return champion


def test_a_better_or_equal_run_replaces_the_champion(champion, client):
    first, done = champion("c1", val_accuracy=0.9, val_loss=0.1)
    assert (done.address, done.version, done.before, done.is_new) == ("models:/c1@champion", "1", None, True)
    second, done = champion("c1", val_accuracy=0.9, val_loss=0.5)
    assert (done.version, done.metric, done.value, done.before.run_id) == ("2", "val_accuracy", 0.9, first)
    assert dict(done.before.metrics) == {"val_accuracy": 0.9, "val_loss": 0.1}
    assert client.get_model_version_by_alias("c1", "champion").run_id == second


@pytest.mark.parametrize(
    ("name", "old", "new", "metric"),
    [
        ("w1", {"val_accuracy": 0.9, "val_loss": 0.5}, {"val_accuracy": 0.8, "val_loss": 0.1}, "val_accuracy"),
        ("w2", {"val_accuracy": 0.9, "test_loss": 0.5}, {"test_loss": 0.6}, "test_loss"),
        ("w3", {"loss": 0.5}, {"loss": float("nan")}, "loss"),
    ],
)
def test_a_worse_run_does_not_replace_the_champion_unless_forced(champion, client, name, old, new, metric):
    first, _ = champion(name, **old)
    with pytest.raises(UserError, match=f"stays version 1, of run {first}: its {metric} is .* worse.*force=true"):
        champion(name, **new)
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    second, done = champion(name, force=True, **new)
    assert (done.version, done.metric) == ("2", metric)
    assert client.get_model_version_by_alias(name, "champion").run_id == second


def test_a_metric_that_is_named_decides(champion):
    champion("m1", val_accuracy=0.9, val_loss=0.5, robust=0.1)
    _, done = champion("m1", val_accuracy=0.8, val_loss=0.4, metric="val_loss")
    assert (done.metric, done.value) == ("val_loss", 0.4)
    with pytest.raises(UserError, match=r"^metric must be one that run \w+ has. Received: 'val_los'. Did you mean"):
        champion("m1", val_loss=0.1, metric="val_los")


def test_a_metric_of_ones_own_needs_a_direction(champion):
    champion("o1", lossless_ratio=0.8)
    with pytest.raises(UserError, match="direction must say whether more or less of lossless_ratio is better"):
        champion("o1", lossless_ratio=0.9, metric="lossless_ratio")
    with pytest.raises(UserError, match="lossless_ratio is 0.8, and the new run's 0.9 is worse"):
        champion("o1", lossless_ratio=0.9, metric="lossless_ratio", direction="minimize")
    _, done = champion("o1", lossless_ratio=0.9, metric="lossless_ratio", direction="maximize")
    assert done.version == "2"


def test_a_run_that_can_not_be_compared_does_not_replace_the_champion_unless_forced(champion, client):
    first, _ = champion("u1", val_accuracy=0.1)
    with pytest.raises(UserError, match="that run has no extra. Name another metric"):
        champion("u1", metric="extra", extra=1.0)
    with pytest.raises(UserError, match="the two runs have none of val_accuracy, .* in common"):
        champion("u1", extra=1.0)
    client.delete_run(first)
    with pytest.raises(UserError, match=f"of run {first}: that run is deleted"):
        champion("u1", val_accuracy=0.9)
    _, done = champion("u1", force=True, val_accuracy=0.9)
    assert (done.version, done.before.metrics) == ("2", None)


def test_the_champion_registered_again_changes_nothing(champion, client):
    run_id, first = champion("s1", val_accuracy=0.9)
    before = client.get_registered_model("s1")
    _, again = champion("s1", run_id)
    assert (again.version, again.is_new, again.value) == (first.version, False, 0.9)
    assert client.get_registered_model("s1").last_updated_timestamp == before.last_updated_timestamp
    champion("s1", val_accuracy=0.95)
    _, back = champion("s1", run_id, force=True)
    assert (back.version, back.is_new) == ("1", True)
    assert len(client.search_model_versions("name = 's1'")) == 2


def test_a_run_without_a_model_is_refused(champion, run):
    run_id, _ = run()
    with pytest.raises(TrackingError, match=f"run {run_id} has no model"):
        champion("n1", run_id)


def test_of_those_that_register_at_once_none_is_lost_and_the_best_is_champion(config, run, client):
    runs = [run(40, val_accuracy=value)[0] for value in (0.7, 0.9, 0.8, 0.6)]
    found = [lookup.find(config, run_id) for run_id in [*runs, runs[1]]]
    together, done = threading.Barrier(len(found)), []

    def work(one):
        together.wait()
        try:
            done.append(register(one, "at-once", "champion"))
        except UserError as error:
            done.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == len(found)
    assert all(not isinstance(one, TrackingError) for one in done)
    assert client.get_model_version_by_alias("at-once", "champion").run_id == runs[1]
    versions = client.search_model_versions("name = 'at-once'")
    assert len({version.run_id for version in versions}) == len(versions)  # the one that came twice has one
    new = {one.version for one in done if not isinstance(one, UserError)}
    assert {str(version.version) for version in versions} == new
