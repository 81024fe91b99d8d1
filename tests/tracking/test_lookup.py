"""What `run=` means, in a store of real runs made by MLflow's own client."""

from types import SimpleNamespace

import pytest

from kerasdl.config.schema import Paths, Tracking
from kerasdl.errors import TrackingError, UserError
from kerasdl.tracking import lookup
from kerasdl.tracking.store import import_mlflow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return SimpleNamespace(paths=Paths(output_dir=str(tmp_path_factory.mktemp("looked up"))), tracking=Tracking())


@pytest.fixture(scope="module")
def client(place):
    client = import_mlflow().MlflowClient(f"sqlite:///{place.paths.output_dir}/mlflow.db")
    for name in ("kerasdl", "other"):
        client.create_experiment(name, artifact_location=f"{place.paths.output_dir}/artifacts")
    return client


@pytest.fixture(scope="module")
def make(client):
    """Makes a run; returns its id."""
    from mlflow.entities import LoggedModelOutput, Metric

    def make(name, start, metrics=(), experiment="kerasdl", status="FINISHED", models=(), tags=()):
        found = client.get_experiment_by_name(experiment).experiment_id
        run = client.create_run(found, start_time=start, run_name=name, tags=dict(tags)).info.run_id
        client.log_batch(run, metrics=[Metric(key, value, 0, 1) for key, value in dict(metrics).items()])
        for step in models:
            model = client.create_logged_model(found, name="model", source_run_id=run)
            client.log_outputs(run, [LoggedModelOutput(model.model_id, step)])
            client.finalize_logged_model(model.model_id, "READY")
        if status != "RUNNING":
            client.set_terminated(run, status, end_time=start + 5)
        return run

    return make


@pytest.fixture(scope="module")
def runs(make):
    found = SimpleNamespace(
        good=make("good-one", 10, {"val_accuracy": 0.9, "loss": 0.5, "lossless_ratio": 0.2}, models=(40, 120, 80)),
        bad=make("bad-one", 20, {"val_accuracy": 0.5, "loss": 0.1, "lossless_ratio": 0.7}),
        killed=make("cut-off", 30, {"val_accuracy": 0.99, "epoch": 3}, status="KILLED"),
        diverged=make("went-off", 35, {"val_accuracy": 0.1, "loss": float("nan"), "val_loss": float("nan")}),
        elsewhere=make("far-away", 40, {"val_accuracy": 0.7}, experiment="other"),
    )
    sweep = {"kerasdl.kind": "sweep", "kerasdl.sweep": "lr"}
    make("an-older-lr", 41, tags=sweep | {"kerasdl.best_run": found.bad})
    found.sweep = make("lr", 50, tags=sweep | {"kerasdl.best_run": found.good})
    make("front", 51, tags=sweep | {"kerasdl.sweep": "front", "kerasdl.best_run": f"{found.good},{found.bad}"})
    make("begun", 52, tags=sweep | {"kerasdl.sweep": "begun"}, status="RUNNING")
    return found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("last", "elsewhere"),  # not a sweep's own run, which trains nothing
        ("best", "good"),  # not the killed one, and of experiment kerasdl
        ("lr", "good"),  # the newest sweep of that name
        ("far-away", "elsewhere"),
    ],
)
def test_a_word_names_a_run(place, runs, text, name):
    assert lookup.find(place, text).run.id == getattr(runs, name)


def test_an_id_or_its_beginning_names_a_run_and_a_sweeps_id_its_best(place, runs):
    assert lookup.find(place, runs.bad).run.id == runs.bad
    assert lookup.find(place, runs.bad[:12]).run.id == runs.bad
    assert lookup.find(place, runs.sweep).run.id == runs.good


def test_best_and_last_go_by_experiment_and_metric(place, runs):
    assert lookup.find(place, "best", metric="loss").run.id == runs.bad
    for direction, run in (("maximize", runs.bad), ("minimize", runs.good)):
        assert lookup.find(place, "best", metric="lossless_ratio", direction=direction).run.id == run
    assert lookup.find(place, "best", experiment="other").run.id == runs.elsewhere
    assert lookup.find(place, "last", experiment="kerasdl").run.id == runs.diverged


def test_the_model_is_the_last_that_the_run_has_logged(place, runs, client):
    found = lookup.find(place, runs.good)
    assert (found.name, found.model.step) == ("good-one", 120)
    assert found.model.location in [model.artifact_location for model in client.search_logged_models(["1"])]
    assert lookup.find(place, runs.bad).model is None


def test_a_registered_model_names_the_run_that_it_is_from(place, runs, client):
    first = lookup.find(place, runs.good).model.location
    client.create_registered_model("digits")
    version = client.create_model_version("digits", f"{first}/", runs.good)
    client.set_registered_model_alias("digits", "champion", version.version)
    for address in ("models:/digits@champion", "models:/digits/1"):
        found = lookup.find(place, address)
        assert (found.run.id, found.model.location) == (runs.good, f"{first}/")
    with pytest.raises(UserError, match=r"there is no models:/digits@best .* Its aliases: champion\."):
        lookup.find(place, "models:/digits@best")
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        lookup.find(place, "models:/digit@champion")
    with pytest.raises(UserError, match="models:/NAME@ALIAS"):
        lookup.find(place, "models:/digits")


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("nosuch", {}, r"no run 'nosuch' in .*\. The newest: [0-9a-f]{32} \(far-away, FINISHED\), "),
        ("it's", {}, "no run 'it's'"),
        ("%", {}, "no run '%'"),
        ("front", {}, "several metrics and has no single best run. Name one of"),
        ("begun", {}, "'begun' has no best run yet"),
        ("best", {"metric": "val_acuracy"}, "Did you mean 'val_accuracy'"),
        ("best", {"metric": "lossless_ratio"}, "direction must say whether more or less of lossless_ratio is better"),
        ("best", {"metric": "val_loss"}, "no finished run of experiment 'kerasdl' has the metric 'val_loss'"),
        ("best", {"experiment": "kerasd"}, "Did you mean 'kerasdl'"),
    ],
)
def test_a_name_of_no_run_is_refused_with_candidates(place, runs, text, keys, message):
    with pytest.raises(UserError, match=message):
        lookup.find(place, text, **keys)


def test_a_beginning_of_several_ids_is_refused_with_them(place, runs, make):
    many = {make(f"one-of-many-{number}", 1)[0] for number in range(18)}  # 16 hexadecimal digits: two begin alike
    ambiguous = next(
        digit
        for digit in many
        if len(lookup.find(place, "last").client.search_runs(["1"], f"attributes.run_id LIKE '{digit}%'")) > 1
    )
    with pytest.raises(UserError, match=r"fits several runs: [0-9a-f]{32} \(.*Type more"):
        lookup.find(place, ambiguous)


def test_a_run_without_a_model_says_why(place, runs):
    with pytest.raises(TrackingError, match="has no model: it was trained with tracking.log_model=false.* Do this."):
        lookup.require_model(lookup.find(place, runs.bad), lambda: "Do this.")
    with pytest.raises(TrackingError, match=r"never finished: it is KILLED, after 3 of \? epochs. Do this."):
        lookup.require_model(lookup.find(place, runs.killed), lambda: "Do this.")


def test_files_and_numbers_are_kept_with_a_run_that_has_ended(place, runs, client, tmp_path):
    from matplotlib.figure import Figure

    artifacts = lookup.find(place, runs.bad).artifacts
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.txt").write_text("a")
    artifacts.text("b,c\n", "evaluate/test/classes.csv")
    artifacts.figure(Figure(), "evaluate/empty.png")
    artifacts.file(tmp_path / "one", "export")
    artifacts.file(tmp_path / "one" / "a.txt", "export/again")
    artifacts.metrics({"evaluate/test/accuracy": 0.1 + 0.2}, step=7)
    assert artifacts.list() == [
        "evaluate/empty.png",
        "evaluate/test/classes.csv",
        "export/a.txt",
        "export/again/a.txt",
    ]
    artifacts.text("d\n", "evaluate/test/classes.csv")
    assert artifacts.fetch("evaluate/test/classes.csv", tmp_path).read_text() == "d\n"
    (point,) = client.get_metric_history(runs.bad, "evaluate/test/accuracy")
    assert (point.value, point.step) == (0.1 + 0.2, 7)
    assert client.get_run(runs.bad).info.status == "FINISHED"
    with pytest.raises(TrackingError, match="nothing.txt"):
        artifacts.fetch("nothing.txt", tmp_path)


def test_a_place_without_runs_is_an_error(tmp_path):
    empty = SimpleNamespace(paths=Paths(output_dir=str(tmp_path)), tracking=Tracking())
    with pytest.raises(TrackingError, match="Train first"):
        lookup.find(empty, "last")
