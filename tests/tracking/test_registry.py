"""The best model of many runs, under a name that stays."""

import pytest
from mlflow.entities import LoggedModelOutput

from kerasdl import tracking
from kerasdl.errors import TrackingError
from kerasdl.tracking.registry import register_best
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

    def make(*steps):
        experiment = experiment_id(client, config.tracking.experiment, store)
        run_id = client.create_run(experiment).info.run_id
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


def test_a_run_that_is_not_there_is_told_in_one_line(store, client):
    with pytest.raises(
        TrackingError, match=r"^the model of run no-such couldn't be registered as learning_rate-7: "
    ) as caught:
        register_best(store, "learning_rate-7", "no-such")
    assert "\n" not in str(caught.value)
