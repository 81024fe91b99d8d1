"""A sweep from its first trial to its last, on an executor without processes."""

import copy
import os
import signal

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from in_memory import Clock, InMemoryExecutor
from omegaconf import OmegaConf, open_dict
from optuna.exceptions import StorageInternalError

from kerasdl.config.checks import check
from kerasdl.errors import UserError
from kerasdl.sweeps.executors.executor import Ended, Evaluation
from kerasdl.sweeps.grammar import read_space
from kerasdl.sweeps.liveness import this_process
from kerasdl.sweeps.open_study import open_study
from kerasdl.sweeps.runner import SweepRunner
from kerasdl.sweeps.settings import check_sweep, objectives
from kerasdl.sweeps.study import Study

BASE = ("data=digits", "model=image_classifier", "tracking=none", "trainer.epochs=3", "sweep.name=mine")


class PlainComposer:
    """Composes trials from one configuration by values alone, without reading files again: in milliseconds.

    Args:
        parse: reads overrides as Hydra does.
        base: the sweep's configuration.
    """

    def __init__(self, parse, base):
        self._parse = parse
        self._base = base

    def freeze(self, folder):
        """Nothing is read again."""

    def compose(self, overrides):
        config = changed(self._base, self._parse(overrides))
        with open_dict(config):
            config.pop("hydra", None)
        config.sweep = None
        check(config)
        return config


def changed(config, overrides):
    """Returns a copy of a configuration with the values of those overrides that sweep nothing."""
    config = copy.deepcopy(config)
    for override in overrides:
        if not override.is_sweep_override():
            OmegaConf.update(config, override.get_key_element().lstrip("+"), override.value(), force_add=True)
    return config


@pytest.fixture(scope="module")
def base(composed):
    """Hydra's loader and the configuration of a sweep that is changed by values only."""
    return composed(*BASE)


@pytest.fixture
def run(base, tmp_path, database):
    """Runs a sweep of a command on an executor; returns the exit code."""
    loader, master = base
    parse = OverridesParser.create(config_loader=loader).parse_overrides

    def run_sweep(executor, *overrides, clock=None):
        typed = [f"paths.output_dir='{tmp_path}'", *overrides]
        config = changed(master, parse(typed))
        check_sweep(config)
        space = read_space(typed, {}, {}, loader, config.sweep.seed)
        goals = objectives(config)
        run_sweep.study = lambda: open_study(config, "mine", goals)
        composer = PlainComposer(parse, config)
        runner = SweepRunner(config, "mine", goals, space, composer, executor, clock or Clock())
        try:
            return runner.run()
        finally:
            assert executor.closed

    run_sweep.trials = lambda: run_sweep.study().trials()
    run_sweep.states = lambda: [str(trial.state) for trial in run_sweep.trials()]
    return run_sweep


def good(config):
    """A curve that depends on the seed, and on nothing else."""
    return [0.125 + config.seed / 64, 0.25 + config.seed / 64, 0.5 + config.seed / 64]


def seeds(executor):
    return [job.config.seed for job in executor.started]


def test_all_points_of_a_grid_are_run_as_many_at_once_as_there_is_room_for(run, capsys):
    executor = InMemoryExecutor(good, slots=2)
    assert run(executor, "seed=0,1,2,3,4") == 0
    assert (seeds(executor), executor.most) == ([0, 1, 2, 3, 4], 2)
    trials = run.trials()
    assert {str(trial.state) for trial in trials} == {"FINISHED"}
    assert [trial.values for trial in trials] == [(0.5 + seed / 64,) for seed in range(5)]
    assert trials[1].reports == {10: 0.140625, 20: 0.265625, 30: 0.515625}
    assert [trial.epoch for trial in trials] == [3] * 5
    assert [trial.folder for trial in trials] == [f"mine-{trial.config_hash}" for trial in trials]
    out = capsys.readouterr().out
    assert "sweep      mine: 5 trials, 0 of them done, grid" in out
    assert "jobs       2 at once, each with nothing of the machine" in out
    assert "best       trial 4: val_accuracy 0.5625  (seed=4)" in out


def test_the_same_command_again_runs_nothing_and_a_wider_one_only_what_is_new(run):
    assert run(InMemoryExecutor(good), "seed=0,1") == 0
    again = InMemoryExecutor(good)
    assert (run(again, "seed=0,1"), again.started) == (0, [])
    wider = InMemoryExecutor(good)
    assert (run(wider, "seed=2,1,0"), seeds(wider)) == (0, [2])


def test_a_trial_has_its_name_and_its_sweep_in_mlflow(run):
    executor = InMemoryExecutor(good)
    run(executor, "seed=0,1", "tracking.run_name=first", "+tracking.tags.kind=small")
    tracked = executor.started[1].config.tracking
    assert tracked.run_name == "first seed=1"
    assert tracked.tags == {"kind": "small", "kerasdl.sweep": "mine", "kerasdl.trial": "1"}


def test_the_pruner_ends_a_trial_that_is_behind_and_no_other(run):
    curves = {0: [0.5, 0.6, 0.7], 1: [0.6, 0.7, 0.8], 2: [0.1, 0.2, 0.9]}
    pruner = ("sweep.pruner=median", "sweep.pruning.startup_trials=2", "sweep.pruning.warmup=0")
    executor = InMemoryExecutor(lambda config: curves[config.seed], slots=1)
    assert run(executor, "seed=0,1,2", *pruner) == 0
    assert run.states() == ["FINISHED", "FINISHED", "PRUNED"]
    pruned = run.trials()[2]
    assert (pruned.values, pruned.reports, pruned.epoch) == ((0.1,), {10: 0.1}, 1)


def at_event(number, act):
    """Returns a function that acts at the given event, counted from 1."""
    seen = []

    def on_event(event):
        seen.append(event)
        if len(seen) == number:
            act()

    return on_event


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_trials_save_and_the_same_command_resumes_them(run, number, capsys):
    """Events: both trials' first evaluation, and then the signal at the second of trial 0."""
    executor = InMemoryExecutor(good, on_event=at_event(3, lambda: os.kill(os.getpid(), number)))
    assert run(executor, "seed=0,1,2") == 128 + number
    assert run.states() == ["WAITING"] * 3
    assert [trial.reports for trial in run.trials()] == [{10: 0.125, 20: 0.25}, {10: 0.140625, 20: 0.265625}, {}]
    assert [trial.seconds for trial in run.trials()] == [3.0, 3.0, 0.0]
    assert "resume     run the same command again" in capsys.readouterr().out

    resumed = InMemoryExecutor(good)
    resumed.checkpoints = executor.checkpoints
    assert run(resumed, "seed=0,1,2") == 0
    assert seeds(resumed) == [0, 1, 2]
    assert [job.name for job in resumed.started[:2]] == [job.name for job in executor.started]
    trials = run.trials()
    assert [trial.values for trial in trials] == [(0.5,), (0.515625,), (0.53125,)]
    assert [trial.seconds for trial in trials] == [5.0, 5.0, 4.0]


def test_a_trial_that_finishes_before_it_can_stop_is_finished(run):
    executor = InMemoryExecutor(good, slots=1, on_event=at_event(3, lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert run(executor, "seed=0,1") == 128 + signal.SIGINT
    assert run.states() == ["FINISHED", "WAITING"]


def test_a_failed_trial_stops_no_other_and_is_tried_again(run, capsys):
    def failing(config):
        return [0.1, ArithmeticError("no luck")] if config.seed == 1 else good(config)

    assert run(InMemoryExecutor(failing, slots=1), "seed=0,1,2") == 1
    assert run.states() == ["FINISHED", "FAILED", "FINISHED"]
    assert run.trials()[1].error == "no luck"
    shown = capsys.readouterr()
    assert "Error: trial 1 (seed=1): no luck" in shown.err
    assert "Error: 1 of 3 trials failed." in shown.err
    again = InMemoryExecutor(good)
    assert (run(again, "seed=0,1,2"), seeds(again)) == (0, [1])
    assert run.states() == ["FINISHED"] * 3


def test_a_configuration_that_cannot_work_fails_without_being_started(run):
    executor = InMemoryExecutor(good)
    assert run(executor, "data.batch_size=0,32") == 1
    assert [job.config.data.batch_size for job in executor.started] == [32]
    assert run.states() == ["FAILED", "FINISHED"]
    assert run.trials()[0].error == "data.batch_size must be >= 1. Received: 0."


def test_too_many_failures_stop_the_sweep_and_save_what_runs(run, capsys):
    def failing(config):
        return [RuntimeError("no")] if config.seed < 2 else [0.1] * 9

    executor = InMemoryExecutor(failing, slots=3)
    assert run(executor, "seed=0,1,2,3,4", "sweep.max_failures=2") == 1
    assert run.states() == ["FAILED", "FAILED", "WAITING", "WAITING", "WAITING"]
    assert seeds(executor) == [0, 1, 2]
    assert run.trials()[2].reports == {10: 0.1}
    assert "mine: 5 trials, 3 waiting, 2 failed" in capsys.readouterr().out


def test_a_trial_that_takes_too_long_is_stopped_and_has_failed(run):
    clock = Clock()
    executor = InMemoryExecutor(
        lambda config: [0.1] * (2 if config.seed == 0 else 99), seconds=10.0, clock=clock, slots=2
    )
    assert run(executor, "seed=0,1", "sweep.trial_timeout=35", clock=clock) == 1
    assert run.states() == ["FINISHED", "FAILED"]
    late = run.trials()[1]
    assert (late.error, len(late.reports)) == ("it took longer than sweep.trial_timeout=35 s", 4)


def test_a_metric_that_a_trial_lacks_or_that_is_not_a_number_is_a_failure(run, tmp_path):
    curves = {0: [float("nan")], 1: [0.5]}
    assert run(InMemoryExecutor(lambda config: curves[config.seed]), "seed=0,1") == 1
    assert run.trials()[0].error == "its val_accuracy is not a number"
    assert (
        run(InMemoryExecutor(good), "seed=0", "sweep.metric=val_loss", f"sweep.storage='{tmp_path / 'other.journal'}'")
        == 1
    )
    assert run.trials()[0].error == "its run has no val_loss, only seconds, val_accuracy"


def test_values_that_a_sampler_draws_twice_are_trained_once(run):
    """While they are trained another value is drawn; later their result is taken. At last there is nothing new."""
    executor = InMemoryExecutor(good, slots=2)
    search = ("sweep.sampler=random", "model.dense_units=choice(8,16)", "sweep.trials=6")
    assert run(executor, *search) == 0
    assert {job.config.model.dense_units for job in executor.started} == {8, 16}
    assert len(executor.started) == 2
    trials = run.trials()
    assert len(trials) == 6
    assert {trial.values for trial in trials} == {(0.5,)}
    again = InMemoryExecutor(good)
    assert (run(again, *search), again.started) == (0, [])


def test_a_search_draws_the_same_values_whether_or_not_it_is_interrupted(run, tmp_path):
    search = ("sweep.sampler=random", "optimizer.learning_rate=tag(log,interval(1e-4,1e-1))", "sweep.trials=4")
    whole = InMemoryExecutor(good, slots=1)
    run(whole, *search, f"sweep.storage='{tmp_path / 'whole.journal'}'")
    cut = InMemoryExecutor(good, slots=1, on_event=at_event(6, lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert run(cut, *search) == 128 + signal.SIGINT
    rest = InMemoryExecutor(good, slots=1)
    assert run(rest, *search) == 0
    rates = [job.config.optimizer.learning_rate for job in [*cut.started, *rest.started]]
    assert list(dict.fromkeys(rates)) == [job.config.optimizer.learning_rate for job in whole.started]


def test_a_storage_that_is_lost_lets_trials_save_and_says_so(run, monkeypatch):
    def lost(*_, **__):
        raise StorageInternalError("lost") from ConnectionError("server closed\nthe connection")

    events = []

    def on_event(event):
        events.append(event)
        if len(events) == 3:
            monkeypatch.setattr(Study, "report", lost)

    executor = InMemoryExecutor(good, on_event=on_event)
    with pytest.raises(UserError) as caught:
        run(executor, "seed=0,1,2")
    assert str(caught.value) == (
        "sweep.storage can no longer be reached (server closed). The running trials have saved their state. Run the "
        "same command again when the storage is back."
    )
    assert [event.status for event in events if isinstance(event, Ended)] == ["KILLED", "KILLED"]
    assert all(isinstance(event, Evaluation) for event in events[:3])


def test_a_trial_that_another_machine_has_taken_over_is_left_to_it(run, capsys):
    def take_over():
        trial = run.study()
        (running,) = trial._all((trial._study.trials[0].state,))
        trial._storage.set_trial_state_values(running._trial_id, type(running.state).FAIL)
        trial.retry_failed([0])

    executor = InMemoryExecutor(good, slots=1, on_event=at_event(3, take_over))
    assert run(executor, "seed=0") == 0
    assert "trial 0: another machine has taken it over; its result here is not used" in capsys.readouterr().out
    assert len(executor.started) == 2  # and the other machine left it waiting


def test_a_trial_of_a_machine_without_a_heartbeat_is_taken_over(run, monkeypatch, capsys):
    """The other machine has claimed trial 0 and then died; this one finishes trial 1, waits, and takes it."""
    clock = Clock()
    assert run(InMemoryExecutor(lambda config: [RuntimeError("no")]), "seed=0") == 1
    study = run.study()
    study.retry_failed([0])
    other = {**this_process(), "machine": "other"}
    with monkeypatch.context() as patch:
        patch.setattr("kerasdl.sweeps.liveness.this_process", lambda: other)
        study.claim(None, None)
    executor = InMemoryExecutor(good, clock=clock)
    assert run(executor, "seed=0,1", "sweep.heartbeat=10", clock=clock) == 0
    assert seeds(executor) == [1, 0]
    assert 30 < clock.seconds < 60
    assert "trial 0: its machine no longer sends a heartbeat; the trial is tried again" in capsys.readouterr().out


def test_an_error_in_the_sweep_itself_closes_the_executor(run, monkeypatch):
    monkeypatch.setattr(Study, "should_prune", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(InMemoryExecutor(good), "seed=0")
