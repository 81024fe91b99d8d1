import signal
import subprocess
import sys

from kerasdl import tracking
from kerasdl.tracking import locate

# One process imports MLflow, which takes seconds, and then becomes several that begin at the same moment.
WRITERS = """
import os, sys
from types import SimpleNamespace
from kerasdl import tracking
from kerasdl.config.schema import Paths, Tracking
from kerasdl.runs import RunFolder
from kerasdl.tracking.store import import_mlflow

import_mlflow()
import mlflow.store.tracking.sqlalchemy_store
writers = []
for number in range(4):
    if (writer := os.fork()) == 0:
        break
    writers.append(writer)
else:
    sys.exit(max(abs(os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1])) for writer in writers))
config = SimpleNamespace(tracking=Tracking(system_metrics=False), paths=Paths(output_dir=sys.argv[1]))
tracker = tracking.create(config)
tracker.check()
folder = RunFolder.new(sys.argv[1], {}, "hash")
folder.create()
tracker.start(folder, config_yaml="", params={"writer": number}, tags={})
tracker.dataset(name="digits", version="1", digest="abc", source="tfds://digits/1", context="train")
for step in range(600):
    tracker.metrics({"loss": step}, step)
tracker.finish("FINISHED")
print(number, tracker.run_id, flush=True)
"""


def test_processes_that_open_an_empty_directory_at_once_lose_nothing(make_config, tmp_path):
    done = subprocess.run([sys.executable, "-c", WRITERS, tmp_path], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    runs = dict(line.split() for line in done.stdout.splitlines())
    assert sorted(runs) == ["0", "1", "2", "3"]
    client = tracking.open_store(make_config(tmp_path))
    for number, run_id in runs.items():
        assert client.get_run(run_id).data.params == {"writer": number}
        assert [point.step for point in client.get_metric_history(run_id, "loss")] == list(range(600))


def test_a_kill_while_the_database_is_made_leaves_none_behind(make_config, tmp_path, put_database, monkeypatch):
    """Within a migration, which MLflow could never repeat on that file."""
    code = (
        "import os, signal, sys, sqlalchemy\n"
        "from types import SimpleNamespace\n"
        "from kerasdl.config.schema import Paths, Tracking\n"
        "from kerasdl.tracking import locate\n"
        "execute, calls = sqlalchemy.engine.Connection.execute, []\n"
        "def counted(*args, **kwargs):\n"
        "    calls.append(0)\n"
        "    if len(calls) == 60:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return execute(*args, **kwargs)\n"
        "sqlalchemy.engine.Connection.execute = counted\n"
        "locate(SimpleNamespace(tracking=Tracking(), paths=Paths(output_dir=sys.argv[1]))).connect()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert ended.returncode == -signal.SIGKILL
    assert {path.name for path in tmp_path.glob(".mlflow.db.making*")} >= {".mlflow.db.making"}
    monkeypatch.setattr("kerasdl.tracking.store._create_database", put_database.make)
    store = locate(make_config(tmp_path))
    assert store.connect().search_experiments()[0].name == "Default"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
