"""A store that was moved or copied, as `mv` and `cp -r` do it, with MLflow's own database in it."""

import shutil
import sqlite3
from pathlib import Path
from urllib.parse import unquote

import pytest

from kerasdl.errors import TrackingError
from kerasdl.runs import RunFolder
from kerasdl.tracking import moved_store
from kerasdl.tracking.lookup import find
from kerasdl.tracking.mlflow_tracker import MlflowTracker

# Names of folders with characters that need care.
OLD, NEW = "Dropbox (Personal)/lr=1, x%20y/mlruns", "new [place]? #2/mlruns"


def train(config, new_folder, folder=None):
    """Makes a run with one file, or resumes the one in `folder`; returns its folder."""
    resumed_at = 0 if folder else None
    folder, tracker = folder or new_folder(config), MlflowTracker(config)
    tracker.start(folder, config_yaml="seed: 0", params={"seed": 0}, tags={}, resumed_at=resumed_at)
    tracker.text("hello", f"note-{resumed_at}.txt")
    tracker.finish("FINISHED")
    folder.unlock()
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory, make_config, new_folder):
    """A store with a run, never changed; tests move copies of it."""
    root = tmp_path_factory.mktemp("original")
    train(make_config(root / OLD, experiment="e"), new_folder)
    return root


@pytest.fixture
def old(original, tmp_path):
    """The directory of a store whose runs were made in that very place."""
    place = tmp_path / "at" / OLD
    shutil.copytree(original / OLD, place)
    moved_store.update_paths(place / "mlflow.db")
    return place


def the_run(config):
    """Returns the only run of a store, as commands find it."""
    return find(config, "last")


def places(database):
    with sqlite3.connect(database) as connection:
        found = connection.execute(
            "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM experiments WHERE name = 'e'"
        )
        return [Path(unquote(place.removeprefix("file://"))) for (place,) in found]


def below(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.parametrize("way", ["moved", "copied"])
def test_its_files_are_found_added_to_and_the_old_place_stays_as_it_is(
    way, old, tmp_path, make_config, new_folder, capsys
):
    new = tmp_path / NEW
    new.parent.mkdir()
    if way == "moved":
        old.rename(new)
    else:
        shutil.copytree(old, new)
    before = below(tmp_path / "at")
    config = make_config(new, experiment="e")
    found = the_run(config)
    assert f"was moved or copied from {old}" in capsys.readouterr().err
    assert found.artifacts.fetch("note-None.txt", tmp_path).read_text() == "hello"
    found.artifacts.text("more", "evaluate/more.txt")
    other = train(config, new_folder)
    known = next(iter(new.glob("runs/*/run.json"))).parent
    first = RunFolder.open(known if known.name != other.name else other.path)
    first.lock()
    train(config, new_folder, first)  # resumed
    assert below(tmp_path / "at") == before
    assert "more.txt" in {path.name for path in new.rglob("*")}
    assert all(place.is_relative_to(new / "artifacts") for place in places(new / "mlflow.db"))
    assert capsys.readouterr().err == ""  # the warning came once


def test_artifacts_elsewhere_on_purpose_stay_there(tmp_path, make_config, new_folder):
    database = tmp_path / "databases" / "mlflow.db"
    config = make_config(tmp_path / "results", experiment="e", uri=f"sqlite:///{database}")
    train(config, new_folder)
    (database.parent / "artifacts").mkdir()
    assert moved_store.update_paths(database) == []
    assert "note-None.txt" in the_run(config).artifacts.list()
    assert all(place.is_relative_to(tmp_path / "results") for place in places(database))


def test_another_name_of_the_same_place_changes_nothing(old, tmp_path, make_config):
    (tmp_path / "link").symlink_to(old.parent)
    config = make_config(tmp_path / "link" / "mlruns", experiment="e")
    assert "note-None.txt" in the_run(config).artifacts.list()
    assert moved_store.update_paths(tmp_path / "link" / "mlruns" / "mlflow.db") == []
    assert all(place.is_relative_to(old / "artifacts") for place in places(old / "mlflow.db"))


def test_a_database_that_cannot_be_written_is_an_error_and_nothing_is_written(old, tmp_path, make_config, monkeypatch):
    new = tmp_path / "new"
    old.rename(new)
    real = sqlite3.connect
    monkeypatch.setattr(  # the superuser may write anything, so sqlite itself has to refuse
        moved_store.sqlite3, "connect", lambda path, **keys: real(f"{Path(path).as_uri()}?mode=ro", uri=True, **keys)
    )
    with pytest.raises(TrackingError, match=r"was moved from .* Make it writable, or copy its directory"):
        the_run(make_config(new, experiment="e"))
    assert not old.exists()


def test_a_run_that_waits_is_sent_to_the_database_that_moved_with_it(old, tmp_path, make_config, capsys):
    from kerasdl import sync
    from kerasdl.tracking import entries
    from kerasdl.tracking.journal import Journal

    (folder,) = (RunFolder.open(path.parent) for path in old.glob("runs/*/run.json"))
    journal = Journal(folder.tracking)
    journal.append(entries.metrics([("loss", 0.5)], 3, 0))
    journal.close()
    new = tmp_path / "copy"
    shutil.copytree(old, new)
    sync.main([f"paths.output_dir={new}"])
    assert the_run(make_config(new, experiment="e")).run.metrics == {"loss": 0.5}
    assert the_run(make_config(old, experiment="e")).run.metrics == {}


def test_a_file_that_is_no_database_of_mlflow_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE experiments (name TEXT)")
    connection.close()
    before = (tmp_path / "other.db").read_bytes()
    assert moved_store.update_paths(tmp_path / "other.db") == []
    assert (tmp_path / "other.db").read_bytes() == before


def test_files_that_are_nowhere_are_named_with_what_may_bring_them(old, tmp_path, make_config, capsys, monkeypatch):
    from kerasdl.report.run_page.command import report_run

    shutil.rmtree(old / "artifacts")
    monkeypatch.chdir(old.parent)
    found = the_run(make_config(old, experiment="e"))
    with pytest.raises(TrackingError, match=r"has no file config\.yaml in .* send it: python -m kerasdl\.sync"):
        found.artifacts.fetch("config.yaml", tmp_path)
    report_run([f"run={found.run.id}", f"output={tmp_path / 'page.html'}", "log=false"])
    assert "has no config.yaml among its artifacts, so the page lacks its configuration" in capsys.readouterr().err
    assert not (old / "artifacts").exists()
