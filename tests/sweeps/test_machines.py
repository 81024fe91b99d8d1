"""Several machines work on one study; here they are processes of this host with different names."""

import signal
import subprocess
import sys
import time

import optuna
import postgresql
import pytest
from optuna.storages.journal import JournalFileBackend
from sweeping import Sweep, attempts, histories, mlflow_runs, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

NAME = "shared"
SWEEP = ("data=digits", "model=image_classifier", "data.batch_size=32", "trainer.epochs=20", "tracking.log_model=false",
         "tracking.system_metrics=false", f"sweep.name={NAME}", "sweep.heartbeat=2")  # fmt: skip


class Study:
    """What anybody sees who knows the address of the storage.

    Args:
        address: `sweep.storage`.
    """

    def __init__(self, address):
        self.address = address
        self._storage = None

    def attempts(self):
        """Returns all attempts at trials, in order; a machine must have made the study."""
        if self._storage is None and "://" in self.address:
            self._storage = optuna.storages.RDBStorage(self.address.replace("://", "+psycopg://"))
        elif self._storage is None:
            self._storage = optuna.storages.JournalStorage(JournalFileBackend(self.address))
        return attempts(self._storage, NAME)

    def of(self, machine, state):
        return [one for one in self.attempts() if one.state.name == state and _machine(one) == machine]

    def training(self, machine):
        """Returns the attempts that a machine is at, and that have been evaluated."""
        return [one for one in self.of(machine, "RUNNING") if one.user_attrs.get("epoch")]


def _machine(attempt):
    return attempt.user_attrs.get("owner", {}).get("machine")


@pytest.fixture(params=["journal", pytest.param("postgresql", marks=pytest.mark.slow)])
def study(request, tmp_path):
    if request.param == "journal":
        yield Study(str(tmp_path / "shared" / "study.log"))
    else:
        with postgresql.server() as address:
            yield Study(address)


@pytest.fixture
def on_machines(tmp_path, study):
    """Starts a sweep's command on machines of these names, which share a disk, at once."""
    machines = []

    def typed(*overrides, names):
        machines[:] = [
            Sweep(tmp_path, [*SWEEP, f"sweep.storage={study.address}", *overrides], changes={"machine": name})
            for name in names
        ]
        started = [machine.type() for machine in machines]
        # Before, whoever looks would take part in the making.
        wait_until(lambda: all(one.lines("trial ") or one.has_ended for one in started), "both machines begin")
        return started

    yield typed
    for machine in machines:
        machine.end()


def test_a_machine_that_dies_has_its_trials_taken_over(tmp_path, study, on_machines):
    left, right = on_machines("seed=0,1,2,3", names=["left", "right"])

    def left_is_in_the_middle():
        return study.of("left", "COMPLETE") and study.of("right", "COMPLETE") and study.training("left")

    (lost,) = left.wait_until(left_is_in_the_middle, "both have finished a trial, and one is at its next")
    left.kill_all()
    assert right.wait() == 0, right.output
    assert f"trial {lost.number}: its machine no longer sends a heartbeat" in right.output

    done = [one for one in study.attempts() if one.state.name == "COMPLETE"]
    assert len(done) == len({one.user_attrs["config_hash"] for one in done}) == 4
    assert {_machine(one) for one in done} == {"left", "right"}
    (again,) = [one for one in done if one.user_attrs.get("original") == lost.number]
    assert _machine(again) == "right"
    others = [one for one in study.attempts() if one.state.name != "COMPLETE"]
    assert [(one.number, one.state.name) for one in others] == [(lost.number, "FAIL")]

    (parent,), children = mlflow_runs(tmp_path / "mlruns")
    assert parent.info.status == "FINISHED"
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert len(children) == len(histories(tmp_path / "mlruns")) == 4
    assert {run.info.status for run in children} == {"FINISHED"}
    (resumed,) = [run for run in children if run.data.tags.get("kerasdl.resumed")]
    assert resumed.data.tags["kerasdl.trial"] == str(lost.number)


@pytest.mark.slow  # without processes: test_study.py
@pytest.mark.parametrize("study", ["journal"], indirect=True)
def test_a_machine_that_comes_back_leaves_its_trial_to_the_other(tmp_path, study, on_machines):
    """A machine that was asleep, or without a network, for longer than the others wait."""
    asleep, awake = on_machines("seed=0,1", names=["asleep", "awake"])
    (lost,) = asleep.wait_until(lambda: study.training("asleep"), "a trial of the machine that falls asleep")
    asleep.signal_all(signal.SIGSTOP)
    taken = f"trial {lost.number}: its machine no longer sends a heartbeat"
    awake.wait_until(lambda: taken in awake.output, "it is taken over")
    asleep.signal_all(signal.SIGCONT)
    assert awake.wait() == 0, awake.output
    assert asleep.wait() == 0, asleep.output
    assert f"trial {lost.number}: another machine has taken it over" in asleep.output
    done = [one for one in study.attempts() if one.state.name == "COMPLETE"]
    assert len(done) == len({one.user_attrs["config_hash"] for one in done}) == 2
    assert {_machine(one) for one in done} == {"awake"}
    (parent,), children = mlflow_runs(tmp_path / "mlruns")
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    assert len(children) == len(histories(tmp_path / "mlruns")) == 2


def test_machines_that_begin_at_once_make_one_database():
    """Where there was none. Several times, because each is a matter of milliseconds."""
    code = (
        "import sys, time, alembic.command, optuna.storages, psycopg\n"
        "from kerasdl.sweeps.storage import address, open_storage\n"
        "print(flush=True)\n"
        "begin = float(sys.stdin.readline())\n"
        "for number, server in enumerate(sys.argv[1:]):\n"
        "    while time.time() < begin + 0.8 * number: pass\n"
        "    open_storage(address(server, '.'))\n"
    )
    with postgresql.server() as server:
        import psycopg

        names = [f"study{number}" for number in range(5)]
        with psycopg.connect(server, autocommit=True) as connection:
            for name in names:
                connection.execute(f"CREATE DATABASE {name}")
        servers = [server.replace("/postgres", f"/{name}") for name in names]
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        machines = [subprocess.Popen([sys.executable, "-c", code, *servers], text=True, **pipes) for _ in range(3)]
        for machine in machines:
            machine.stdout.readline()  # it has imported all that it needs
        begin = time.time() + 0.5
        for machine in machines:
            machine.stdin.write(f"{begin}\n")
            machine.stdin.flush()
        errors = [machine.communicate(timeout=60)[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0] * 3, errors
