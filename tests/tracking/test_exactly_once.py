"""Runs that are killed, resumed and sent later: MLflow has every point once, with its first time and value."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest

from kerasdl import sync, tracking
from kerasdl.errors import TrackingError
from kerasdl.runs import RunFolder
from kerasdl.tracking import entries, logged_model
from kerasdl.tracking.backlog import send_backlog
from kerasdl.tracking.journal import Journal
from kerasdl.tracking.spool import Spool

EMPTY = {"config_yaml": "{}\n", "params": {"seed": 0}, "tags": {"t": "v"}}
DATASET = {"name": "mnist", "version": "3", "digest": "d", "source": "tfds://mnist/3", "context": "train"}

KILLED = """
import os, signal, sys
from types import SimpleNamespace
from kerasdl import tracking
from kerasdl.config.schema import Paths, Tracking
from kerasdl.runs import RunFolder
from kerasdl.tracking import worker
from kerasdl.tracking.journal import Journal

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

settings = Tracking(system_metrics=False, uri=sys.argv[2], experiment=sys.argv[3])
config = SimpleNamespace(tracking=settings, paths=Paths(output_dir=sys.argv[1]))
folder = RunFolder.new(sys.argv[1], {"tracking": {"experiment": sys.argv[3]}}, "hash")
folder.create()
tracker = tracking.create(config)
tracker.start(folder, config_yaml="{}", params={"seed": 0}, tags={})
tracker.dataset(name="mnist", version="3", digest="d", source="tfds://mnist/3", context="train")
if sys.argv[4] == "after create_run":
    folder.update = die  # MLflow has the run, and run.json doesn't know
else:
    assert tracker.run_id
for step in range(100):
    tracker.metrics({"loss": step / 7}, step)
tracker.series("learning_rate", 0, [0.1] * 100)
if sys.argv[4] == "after log_batch":
    mark_sent = Journal.mark_sent
    Journal.mark_sent = lambda self, offset: mark_sent(self, offset) if offset < self.end else die()
tracker._recorder.worker.wake()
tracker._recorder.worker._thread.join(60)
"""


@pytest.fixture
def config(make_config, store_dir, tmp_path, request):
    """A configuration with runs of the test's own, in the shared database."""
    tracking.locate(make_config(store_dir)).connect()
    return make_config(tmp_path, uri=f"sqlite:///{store_dir}/mlflow.db", experiment=request.node.name)


def history(config, run_id, key):
    return [
        (point.step, point.value, point.timestamp)
        for point in tracking.open_store(config).get_metric_history(run_id, key)
    ]


def journal_points(folder, key):
    journal = Journal(folder.tracking)
    points = [point for entry in journal.entries() for point in entries.points(entry) if point[0] == key]
    journal.close()
    return sorted((step, value, timestamp) for _, value, timestamp, step in points)


@pytest.mark.parametrize("moment", ["after log_batch", "after create_run"])
def test_a_process_killed_between_an_answer_and_its_note_and_resumed(config, tmp_path, moment):
    arguments = [str(tmp_path), config.tracking.uri, config.tracking.experiment, moment]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (path,) = (tmp_path / "runs").iterdir()
    folder = RunFolder.open(path)
    folder.lock()
    first = journal_points(folder, "loss")
    assert [step for step, _, _ in first] == list(range(100))

    tracker = tracking.create(config)
    tracker.start(folder, **EMPTY, resumed_at=60)
    tracker.dataset(**DATASET)
    for step in range(60, 150):
        tracker.metrics({"loss": step / 7}, step)
    tracker.series("learning_rate", 50, [0.1] * 100)
    tracker.finish("FINISHED")

    client = tracking.open_store(config)
    (run,) = client.search_runs([client.get_experiment_by_name(config.tracking.experiment).experiment_id])
    assert run.info.run_id == tracker.run_id == folder.record.run_id
    assert run.info.status == "FINISHED"
    assert run.data.tags["kerasdl.resumed"] == "1"
    assert run.data.params == {"seed": "0"}
    assert len(run.inputs.dataset_inputs) == 1
    points = history(config, tracker.run_id, "loss")
    assert [(step, value) for step, value, _ in points] == [(step, step / 7) for step in range(150)]
    assert points[:100] == first
    assert [step for step, _, _ in history(config, tracker.run_id, "learning_rate")] == list(range(150))


def test_a_resumed_run_reports_only_what_is_new(config, new_folder):
    folder = new_folder(config)
    tracker = tracking.create(config)
    tracker.start(folder, **EMPTY)
    tracker.metrics({"loss": 1.0, "nan": float("nan")}, 10)
    tracker.dataset(**DATASET)
    tracker.finish("KILLED")
    before = len(list(Journal(folder.tracking).entries()))
    orphan = Spool(folder.tracking).add("half.txt", lambda path: path.write_text("a kill came before its entry"))

    for resumption in (1, 2):
        tracker = tracking.create(config)
        tracker.start(folder, **EMPTY, resumed_at=10)
        assert tracking.open_store(config).get_run(tracker.run_id).info.status in ("RUNNING", "KILLED")
        tracker.params({"seed": 5})
        tracker.dataset(**DATASET)
        tracker.metrics({"loss": 2.0, "nan": float("nan")}, 10)
        tracker.attempt = resumption
        tracker.metrics({"loss": 3.0}, 10)
        tracker.finish("KILLED")
        run = tracking.open_store(config).get_run(tracker.run_id)
        assert run.data.tags["kerasdl.resumed"] == str(resumption)
        after = [entry["kind"] for entry in Journal(folder.tracking).entries()][before:]
        # The resumption, the tags with the count, config.yaml, the new attempt's point.
        assert after == ["resumption", "tags", "artifact", "metrics", "end"] * resumption
    assert not orphan.exists()
    assert [value for _, value, _ in history(config, tracker.run_id, "loss")] == [1.0, 3.0, 3.0]
    assert len(history(config, tracker.run_id, "nan")) == 1


def test_a_resumed_run_is_running_again(config, new_folder, wait_until):
    folder = new_folder(config)
    tracker = tracking.create(config)
    tracker.start(folder, **EMPTY)
    tracker.finish("KILLED")
    tracker = tracking.create(config)
    tracker.start(folder, **EMPTY, resumed_at=0)
    client = tracking.open_store(config)
    wait_until(lambda: client.get_run(tracker.run_id).info.status == "RUNNING")
    tracker.finish("FINISHED")
    assert client.get_run(tracker.run_id).info.status == "FINISHED"


def test_a_run_is_not_resumed_in_another_store(config, make_config, new_folder, tmp_path):
    folder = new_folder(config)
    folder.update(run_id="abc", tracking_uri="http://example.org:5000")
    with pytest.raises(TrackingError, match=r"tracking\.uri must name the store that has run abc: http://example\.org"):
        tracking.create(config).start(folder, **EMPTY, resumed_at=0)


def test_a_model_whose_sending_was_interrupted_anywhere_is_there_once(config, new_folder, monkeypatch):
    """Every call of the upload in turn is the last one before a kill; then the entry is sent again."""
    import mlflow
    from mlflow.models import Model

    folder = new_folder(config)
    journal = Journal(folder.tracking)
    path = Spool(folder.tracking).add("model", lambda path: (path.mkdir(), Model().save(str(path / "MLmodel"))))
    journal.append(entries.model(path, 40))
    journal.close()

    class Killed(BaseException):
        pass

    def dies_after(call):
        def killed(*arguments, **keywords):
            call(*arguments, **keywords)
            raise Killed

        return killed

    client_class = mlflow.MlflowClient
    located = tracking.locate(config)
    calls = [(client_class, name) for name in ("create_logged_model", "finalize_logged_model", "log_outputs")]
    for owner, name in (calls[0], (logged_model, "upload"), *calls[1:]):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, dies_after(getattr(owner, name)))
            with pytest.raises(Killed):
                send_backlog(folder, located, lambda *_: None)
    assert send_backlog(folder, located, lambda *_: None) == 1

    client = tracking.open_store(config)
    run = client.get_run(folder.record.run_id)
    (output,) = run.outputs.model_outputs
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert model.model_id == output.model_id
    assert model.status == "READY"
    assert model.tags[logged_model.ENTRY_TAG] == path.parent.name
    assert output.step == 40
    assert not path.exists()


def test_a_model_that_the_journal_has_is_not_saved_again(config, new_folder, monkeypatch):
    saved = []
    monkeypatch.setattr(logged_model, "save", lambda model, example, folder: saved.append(folder))
    folder = new_folder(config)
    journal = Journal(folder.tracking)
    journal.append(entries.model(folder.tracking / "spool" / "gone" / "model", 40))
    journal.close()
    tracker = tracking.create(config)
    tracker.start(folder, **EMPTY, resumed_at=40)
    tracker.model(None, None, 40)
    assert saved == []
    tracker.finish("FINISHED")


HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
connection.rollback()
"""


@pytest.fixture
def own_store(make_config, store_dir, tmp_path):
    """A configuration with a database of its own, whose calls give up on a lock soon."""
    tracking.locate(make_config(store_dir)).connect()
    shutil.copy(store_dir / "mlflow.db", tmp_path / "mlflow.db")
    return make_config(tmp_path, experiment="locked")


@pytest.fixture
def impatient(monkeypatch):
    import sqlalchemy
    from mlflow.store.db import utils

    short = SimpleNamespace(text=lambda text: sqlalchemy.text(text.replace("= 20000", "= 100")))
    monkeypatch.setattr(utils, "sql", short)
    monkeypatch.setattr("kerasdl.tracking.worker.RETRY_SECONDS", 0.1)
    monkeypatch.setattr("kerasdl.tracking.worker.PAUSE_SECONDS", 0.01)


@pytest.fixture
def hold(tmp_path):
    """Locks the database from another process until it is released."""
    holders = []

    def take():
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(tmp_path / "mlflow.db")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert holder.stdout.readline() == "held\n"
        holders.append(holder)

        def let_go():
            holder.communicate("\n", timeout=20)

        return let_go

    yield take
    for holder in holders:
        if holder.poll() is None:
            holder.kill()
            holder.wait(20)


def test_a_database_that_another_process_locks_gets_everything_once(
    own_store, hold, impatient, new_folder, wait_until, capfd
):
    folder = new_folder(own_store)
    tracker = tracking.create(own_store)
    tracker.start(folder, **EMPTY)
    assert tracker.run_id
    let_go = hold()
    for step in range(2000):
        tracker.metrics({"loss": step}, step)
    wait_until(lambda: tracker._recorder.worker._outage_reported)
    let_go()
    wait_until(lambda: not tracker._recorder.worker._outage_reported)
    let_go = hold()
    with pytest.raises(TrackingError, match="database is locked.* is kept in"):
        tracker.finish("FINISHED", patience=0)
    folder.unlock()
    let_go()
    sync.main([f"paths.output_dir={own_store.paths.output_dir}"])
    with sqlite3.connect(tracking.locate(own_store).database) as connection:
        query = "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = 'loss' ORDER BY step"
        rows = connection.execute(query, [tracker.run_id]).fetchall()
    assert rows == [(step, step) for step in range(2000)]
    captured = capfd.readouterr()
    assert captured.err.count("can't be written at the moment (database is locked)") == 1
    assert "Traceback" not in captured.err
