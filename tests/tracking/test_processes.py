import signal
import subprocess
import sys
import textwrap

from kerasdl import tracking
from kerasdl.tracking import locate

WRITER = """
import sys
from types import SimpleNamespace
from kerasdl import tracking
from kerasdl.tracking import locate
from kerasdl.config.schema import Paths, Tracking
from kerasdl.runs import RunFolder
config = SimpleNamespace(tracking=Tracking(system_metrics=False), paths=Paths(output_dir=sys.argv[1]))
tracker = tracking.create(config)
tracker.check()
folder = RunFolder.new(sys.argv[1], {}, "hash")
folder.create()
tracker.start(folder, config_yaml="", params={"writer": sys.argv[2]}, tags={})
tracker.dataset(name="digits", version="1", digest="abc", source="tfds://digits/1", context="train")
for step in range(600):
    tracker.metrics({"loss": step}, step)
tracker.finish("FINISHED")
print(tracker.run_id)
"""


def test_processes_that_open_an_empty_directory_at_once_lose_nothing(make_config, tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), tmp_path, str(number)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip
    outputs = [writer.communicate(timeout=120) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4, outputs
    client = tracking.open_store(make_config(tmp_path))
    for number, (run_id, _) in enumerate(outputs):
        assert client.get_run(run_id.strip()).data.params == {"writer": str(number)}
        assert [point.step for point in client.get_metric_history(run_id.strip(), "loss")] == list(range(600))


def test_a_kill_while_the_database_is_made_leaves_none_behind(make_config, tmp_path):
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
    store = locate(make_config(tmp_path))
    assert store.connect().search_experiments()[0].name == "Default"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
