"""Every command that the program prints runs as it is printed, also where a path contains what a shell or Hydra reads.

They are taken from what was printed, split as a shell splits them, and handed to the program that they name.
"""

import contextlib
import importlib
import io
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import kerasdl
from kerasdl import compose, tracking
from kerasdl.__main__ import module_of
from kerasdl.commands import parse
from kerasdl.config.composition import place
from kerasdl.config.identity import config_hash
from kerasdl.config.typed import command, hydra_value, with_words
from kerasdl.errors import TrackingError
from kerasdl.report.run_page.next_steps import commands, resume_command
from kerasdl.report.run_page.reproduction import reproduce
from kerasdl.runs.choice import choose
from kerasdl.tracking import lookup, server
from kerasdl.tracking.failures import sync_command
from kerasdl.tracking.store import Store, experiment_id

FOLDER = """Dropbox (Personal)/lr=1, it's "mine" $HOME {a} [b] #1"""


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """The user's folder, in which the others are."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("user")
        patch.chdir(folder)
        Image.new("L", (8, 8)).save("image.png")
        yield folder


@pytest.fixture(scope="module")
def overrides(fast):
    return [*fast, f"paths.output_dir={hydra_value(FOLDER)}", "tracking.system_metrics=false"]


@pytest.fixture(scope="module")
def stopped(folder, overrides):
    """What is printed of a run that is stopped after its first epoch."""
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("kerasdl.experiment.terminal.row", lambda name, text: printed.append((name, text)))
        kerasdl.run(compose(overrides), should_prune=lambda epochs, steps, metrics: True)
    return dict(printed)


@pytest.fixture(scope="module")
def advice(stopped):
    """What is said to somebody who wants to use a run that isn't finished."""
    with pytest.raises(TrackingError) as caught:
        kerasdl.load("last", output_dir=FOLDER)
    return str(caught.value)


@pytest.fixture(scope="module")
def resumed(stopped, advice):
    """What the command that resumes the run prints, which gets its words from a real shell."""
    printing = ["bash", "-c", f"printf '%s\\0' {stopped['resume']}"]
    python, flag, module, *words, _ = subprocess.check_output(printing, text=True).split("\0")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.delenv("HYDRA_FULL_ERROR", raising=False)  # another test's command may have left it
        patch.setattr(sys, "argv", [module, *words])
        importlib.import_module(module).main()
    return printed.getvalue()


@pytest.fixture(scope="module")
def found(resumed):
    """The finished run."""
    return lookup.find(place({"paths.output_dir": FOLDER}), "last")


def run_as_printed(line):
    """Runs a command of kerasdl in this process."""
    python, flag, module, *words = shlex.split(line)
    assert (python, flag) == ("python", "-m")
    importlib.import_module(module_of(module.removeprefix("kerasdl."))).main(words)


def test_the_command_that_resumes_a_stopped_run(stopped, resumed):
    assert stopped["resume"].startswith("python -m kerasdl.train resume=")
    assert f"run        {stopped['run']}" in resumed


def test_the_advice_on_an_unfinished_run_is_the_same_command(stopped, advice):
    assert advice.endswith(f"Finish it: {stopped['resume']}")


def test_the_commands_of_a_runs_page(found, monkeypatch):
    served = []
    monkeypatch.setattr(server, "serve", lambda store, host, port: served.append(store.database))
    lines = [line for _, line in commands(found)]
    assert len(lines) == 7
    for line in lines:
        module = shlex.split(line)[2]
        if module.endswith(("explain", "robustness", "export")):  # they take long: up to finding the run
            values = parse(
                shlex.split(line)[3:], importlib.import_module(module_of(module.removeprefix("kerasdl."))).KEYS
            )
            assert lookup.find(place(values), values["run"]).run.id == found.run.id
        else:
            run_as_printed(line)
    assert served == [found.store.database]


def test_the_command_that_continues_a_run_on_its_page(found):
    killed = replace(found, run=replace(found.run, state="KILLED"))
    words = shlex.split(resume_command(killed))[3:]
    config = compose([*words, "trainer.epochs=3"])
    assert config.paths.output_dir == str(found.store.output_dir.relative_to(Path.cwd()))
    chosen = choose(config)
    chosen.unlock()
    assert chosen.id == found.run.id


def test_the_command_that_repeats_a_run(found, overrides):
    config, typed = compose(overrides), command("train", {"paths.output_dir": FOLDER})
    repeated = reproduce(config, config_hash(config), with_words("train", overrides))
    assert repeated.as_typed
    assert compose(shlex.split(repeated.command)[3:]) == config
    config.data.train_split = "train[:50%], (a=b)"
    made = reproduce(config, config_hash(config), typed)
    assert not made.as_typed
    assert config_hash(compose(shlex.split(made.command)[3:])) == config_hash(config)


def test_the_command_that_sends_what_waits(found, capsys):
    run_as_printed(sync_command(found.store))
    assert capsys.readouterr().out == f"Nothing to send: MLflow has everything from the runs in {FOLDER}.\n"


def test_the_command_that_restores_a_deleted_experiment(found, overrides):
    name = "an experiment's name, (deleted)"
    found.client.delete_experiment(found.client.create_experiment(name))
    with pytest.raises(TrackingError, match="must name an experiment that isn't deleted") as caught:
        experiment_id(found.client, name, found.store)
    run_mlflow(str(caught.value).partition("restore it: ")[2])
    assert found.client.get_experiment_by_name(name).lifecycle_stage == "active"


def run_mlflow(line):
    """Runs a command of MLflow's in this process."""
    from click.testing import CliRunner
    from mlflow.cli import cli

    variable, program, *words = shlex.split(line)
    assert program == "mlflow"
    name, _, value = variable.partition("=")
    ended = CliRunner(env={name: value}).invoke(cli, words, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output


def test_the_command_that_opens_a_store_named_by_its_address(found):
    """Its runs' folders are under `paths.output_dir`, wherever the database is."""
    store = Store(found.store.uri, found.store.output_dir, "tracking.uri")
    elsewhere = replace(found, store=store, run=replace(found.run, state="KILLED"))
    config = compose(shlex.split(resume_command(elsewhere))[3:])
    assert tracking.locate(config) == store


@pytest.mark.parametrize(
    "text", [FOLDER, r"\${x}", "${x}", "12e45678", "null", "a\\", "'", '"', "", " x ", "[a]", "~/x"]
)
def test_hydra_reads_a_value_as_it_was(text):
    assert compose([f"tracking.run_name={hydra_value(text)}"]).tracking.run_name == text
