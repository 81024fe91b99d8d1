"""A grid's trials before anything runs, and a dry run, which writes nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from kerasdl.errors import ConfigError
from kerasdl.experiment import record
from kerasdl.sweeps import dry_run
from kerasdl.sweeps.composer import Composer
from kerasdl.sweeps.grammar import read_space
from kerasdl.sweeps.open_study import open_study
from kerasdl.sweeps.plan import plan_grid, plan_trial
from kerasdl.sweeps.settings import objectives, sweep_name
from kerasdl.sweeps.sweeper import sweep
from kerasdl.sweeps.trials import State, Trial

FAST = ("data=digits", "model=image_classifier", "tracking=none")


@pytest.fixture
def command(composed, tmp_path):
    """Reads a command as `kerasdl.train -m` does; returns what planning and a dry run take."""

    def make(*overrides):
        typed = [*FAST, f"paths.output_dir={tmp_path / 'out'}", *overrides]
        loader, master = composed(*typed)
        space = read_space(typed, master.sweep.space, master.sweep.when, loader, master.sweep.seed)
        goals = objectives(master)
        name = sweep_name(master, space, goals)
        return SimpleNamespace(master=master, space=space, goals=goals, name=name, composer=Composer(loader, master))

    return make


def shown(command, capsys):
    capsys.readouterr()
    assert dry_run.show(command.master, command.name, command.goals, command.space, command.composer) == 0
    return capsys.readouterr().out.splitlines()


def test_a_grid_is_planned_in_order_with_each_identity_once(command):
    made = command("optimizer.learning_rate=0.1,0.10", "seed=0,1")
    planned = plan_grid(made.composer, made.space)
    rates = [(one.config.optimizer.learning_rate, one.config.seed) for one in planned.values()]
    assert rates == [(0.1, 0), (0.1, 1)]  # and 0.10 is 0.1
    assert [*planned] == [one.config_hash for one in planned.values()]
    assert [one.chosen for one in planned.values()][0] == {"optimizer.learning_rate": 0.1, "seed": 0}


def test_identity_is_of_what_decides_and_not_of_order_or_how_it_is_run(command):
    first = command("optimizer.learning_rate=0.1,0.01", "seed=1")
    other = command("seed=1", "optimizer.learning_rate=0.01,0.1", "sweep.jobs=2", "sweep.name=other")
    assert {*plan_grid(first.composer, first.space)} == {*plan_grid(other.composer, other.space)}


def test_nothing_of_a_group_is_one_of_its_values(command):
    made = command("debug=one_batch,null")
    batches = [one.config.data.batches for one in plan_grid(made.composer, made.space).values()]
    assert batches == [1, None]


def test_one_number_for_all_channels_is_the_list_of_it_in_a_trial_too(command):
    made = command("data.normalization.mean=1,[1.0],0.5")
    means = [one.config.data.normalization.mean for one in plan_grid(made.composer, made.space).values()]
    assert means == [[1.0], [0.5]]


@pytest.mark.parametrize("typed", [
    ["optimizer.learning_rate=${trainer.lr}", "seed=0,1"],
    ["optimizer.learning_rate=0.1,${trainer.lr}", "seed=0,1"],
    ["optimizer=adam,sgd", "optimizer.learning_rate=0.1,${optimizer.momentum}"],
    ["sweep=random", "sweep.trials=2", "optimizer.learning_rate=interval(0.1,1)", "optimizer.weight_decay=${seeed}"],
    ["sweep=random", "sweep.trials=2", "optimizer=sgd,adam", "optimizer.learning_rate=${optimizer.momentum}"],
])  # fmt: skip
def test_an_interpolation_that_stands_for_nothing_is_refused_before_the_first_trial(composed, tmp_path, typed):
    typed = [*FAST, f"paths.output_dir={tmp_path / 'out'}", *typed]
    loader, master = composed(*typed)

    def job(config):
        """What would be run once without -m."""

    job.__module__ = "kerasdl.train"
    with pytest.raises(ConfigError, match=r"^optimizer\.\w+: \$\{.*\} can't be resolved: there is no key .*$"):
        sweep(SimpleNamespace(config_loader=loader), job, master, typed)
    assert not (tmp_path / "out").exists()


def test_a_combination_of_values_that_refers_to_nothing_is_refused_too(command):
    """Where each of the values works with the first of the others."""
    made = command("optimizer=sgd,adam", "optimizer.learning_rate=0.1,${optimizer.momentum}", "seed=0")
    with pytest.raises(ConfigError, match=r"there is no key optimizer.momentum"):
        plan_grid(made.composer, made.space)


def test_a_combination_that_cannot_work_is_planned_with_its_reason(command):
    made = command("data.batch_size=0,32")
    refused, sound = plan_grid(made.composer, made.space).values()
    assert (refused.config, refused.error) == (None, "data.batch_size must be >= 1. Received: 0.")
    assert re.fullmatch("refused-[0-9a-f]{16}", refused.config_hash)
    assert (sound.error, sound.config.data.batch_size) == (None, 32)
    with_jobs = command("data.batch_size=0,32", "sweep.jobs=2")
    assert refused.config_hash in plan_grid(with_jobs.composer, with_jobs.space)
    elsewhere = command("data.batch_size=0,32", "seed=1")
    assert refused.config_hash not in plan_grid(elsewhere.composer, elsewhere.space)


def test_a_dry_run_writes_nothing(command, capsys, tmp_path):
    made = command("optimizer.learning_rate=0.1,0.01", "data.batch_size=0,32")
    lines = shown(made, capsys)
    assert lines == [
        "REFUSED   learning_rate=0.1 batch_size=0  data.batch_size must be >= 1. Received: 0.",
        "WAITING   learning_rate=0.1 batch_size=32",
        "REFUSED   learning_rate=0.01 batch_size=0  data.batch_size must be >= 1. Received: 0.",
        "WAITING   learning_rate=0.01 batch_size=32",
        f"sweep {made.name}: 4 trials, 2 to run",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_a_search_says_how_many(command, capsys, tmp_path):
    made = command("sweep=tpe", "sweep.trials=7", "optimizer.learning_rate=interval(0.1,1)", "sweep.name=mine")
    assert shown(made, capsys) == ["sweep mine: 7 trials, 7 to run"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("storage", ["study.journal", "sqlite:///{}/other.db"])
def test_a_dry_run_makes_no_storage_that_was_named(command, capsys, tmp_path, storage, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown(command("seed=0,1", f"sweep.storage='{storage.format(tmp_path)}'"), capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_makes_no_study_in_a_storage_that_exists(command, capsys, tmp_path):
    storage = f"sweep.storage={tmp_path / 'study.journal'}"
    open_study(command(storage, "sweep.name=first").master, "first", command().goals)
    before = (tmp_path / "study.journal").read_bytes()
    assert shown(command("seed=0,1", storage, "sweep.name=second"), capsys)[-1] == "sweep second: 2 trials, 2 to run"
    assert (tmp_path / "study.journal").read_bytes() == before


def test_the_command_line_writes_nothing_either(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "kerasdl.train", "-m", "seed=0,1", "sweep.dry_run=true", *FAST],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[:2] == ["WAITING   seed=0", "WAITING   seed=1"]
    assert list(tmp_path.rglob("*")) == []


def finish(made, *outcomes):
    """Runs trials of a grid as if: `(state, value, seconds)` each."""
    study = open_study(made.master, made.name, made.goals)
    for one in plan_grid(made.composer, made.space).values():
        study.add(made.space, dict(one.chosen), one.config_hash)
    for state, value, seconds in outcomes:
        values = None if state is State.FAILED else [value]
        study.finish(study.claim(None, None), state, values, seconds=seconds)


def test_what_is_done_is_shown_with_an_estimate_of_the_rest(command, capsys):
    first = command("seed=0,1,2", "sweep.storage=null")
    finish(first, (State.FINISHED, 0.75, 60.0), (State.PRUNED, 0.5, 20.0), (State.FAILED, None, 9.0))
    wider = command("seed=3,0,1,2", "sweep.jobs=2")
    assert shown(wider, capsys) == [
        "WAITING   seed=3",
        "FINISHED  seed=0  val_accuracy 0.7500",
        "PRUNED    seed=1  val_accuracy 0.5000",
        "FAILED    seed=2",
        f"sweep {first.name}: 4 trials, 2 to run, about 40 s with sweep.jobs=2",
    ]
    assert [trial.state for trial in open_study(first.master, first.name, first.goals).trials()] == [
        "FINISHED", "PRUNED", "FAILED"
    ]  # fmt: skip


def drawn(made, rate, state=State.FINISHED, **attributes):
    """Adds a trial of a search as if it was drawn, trained, and ended in a state."""
    study, chosen = open_study(made.master, made.name, made.goals), {"optimizer.learning_rate": rate}
    one = plan_trial(made.composer, made.space, chosen)
    study.add_unsampled()
    claim = study.claim(None, 100)
    study.identify(claim, made.space, chosen, one.config_hash)
    study.keep(claim, **attributes)
    if state is State.WAITING:
        study.report(claim, 10, 0.5, 1)
        study.release(claim)
    else:
        study.finish(claim, state, None if state is State.FAILED else [0.5], seconds=10.0)
    return one


def test_of_a_search_the_trials_so_far_are_shown(command, capsys):
    rates = "optimizer.learning_rate=interval(0.1,1)"
    made = command("sweep=random", "sweep.trials=3", rates)
    drawn(made, 0.25)
    assert shown(made, capsys) == [
        "FINISHED  learning_rate=0.25  val_accuracy 0.5000",
        f"sweep {made.name}: 3 trials, 2 to run, about 20 s with sweep.jobs=1",
    ]


@pytest.mark.parametrize("state", [State.FINISHED, State.PRUNED, State.WAITING])
def test_a_search_does_not_count_trials_of_another_configuration(command, capsys, state):
    """Not those either whose configuration is another since a file in conf/ was edited, which nobody typed."""
    typed = ("sweep=random", "sweep.trials=3", "optimizer.learning_rate=interval(0.1,1)", "sweep.name=mine")
    before = command(*typed, "model.dropout=0.2")
    drawn(before, 0.25, state)
    drawn(before, 0.5, State.FAILED)  # it has come to nothing, and is tried again
    shown(before, capsys)
    with pytest.raises(ConfigError) as caught:
        shown(command(*typed, "model.dropout=0.3", "sweep.jobs=2"), capsys)
    assert str(caught.value) == (
        "sweep: the results of trial 0 come from another configuration than this command gives now. Give the changed "
        "sweep another sweep.name, or undo the change."
    )


def test_a_search_says_what_has_changed_if_it_is_known(command, capsys):
    typed = ("sweep=random", "sweep.trials=3", "optimizer.learning_rate=interval(0.1,1)", "sweep.name=mine")
    before = command(*typed)
    one = drawn(before, 0.25, folder="mine-0")
    record.new_folder(one.config, "mine-0").create()
    with pytest.raises(ConfigError, match=r"now \(model\.dropout was 0\.0, is 0\.3; seed was 0, is 1\)\. Give"):
        shown(command(*typed, "model.dropout=0.3", "seed=1"), capsys)


def test_a_grid_over_an_interval_is_refused(command):
    made = command("optimizer.learning_rate=interval(0.1,1)")
    with pytest.raises(ConfigError, match="a grid can't have an interval"):
        plan_grid(made.composer, made.space)


def done(seconds, state=State.FINISHED):
    return Trial(0, state, {}, seconds=seconds)


@pytest.mark.parametrize(
    ("trials", "remaining", "jobs", "expected"),
    [
        ([], 3, 1, None),
        ([done(10.0), done(20.0)], 4, 1, 60.0),
        ([done(10.0), done(20.0)], 4, 2, 30.0),
        ([done(10.0)], 1, 8, 10.0),
        ([done(10.0)], 0, 2, 0.0),
        ([done(10.0), done(99.0, State.FAILED), done(99.0, State.RUNNING)], 2, 1, 20.0),
        ([done(0.0), done(10.0)], 2, 1, 20.0),  # one that was the same as another took no time
    ],
)
def test_the_estimate(trials, remaining, jobs, expected):
    assert dry_run.remaining_seconds(trials, remaining, jobs) == expected


def test_the_study_has_the_sampler_and_the_pruner_of_the_configuration(command):
    made = command("sweep=tpe", "sweep.pruner=asha", "sweep.pruning.reduction_factor=5")
    study = open_study(made.master, made.name, made.goals)
    assert study._study.pruner._reduction_factor == 5
    assert OmegaConf.select(made.master, "sweep.trials") == 50
