"""Trials in Optuna: each is taken once; none is lost or counted twice; pruning resumes where it was."""

import json
import subprocess
import sys
import threading

import optuna
import pytest

from kerasdl.errors import ConfigError
from kerasdl.sweeps import liveness
from kerasdl.sweeps.open_study import has_study
from kerasdl.sweeps.space import Axis, Interval, Space
from kerasdl.sweeps.storage import open_storage
from kerasdl.sweeps.trials import Objective, State

ACCURACY, LOSS, SECONDS = Objective("val_accuracy", True), Objective("val_loss", False), Objective("seconds", False)


def grid(*seeds):
    return Space((), (Axis("seed", {str(seed): seed for seed in seeds}),))


def filled(study, *seeds):
    """Adds a trial a seed, known by the hash `h<seed>`."""
    space = grid(*seeds)
    for chosen in space.grid():
        study.add(space, chosen, f"h{chosen['seed']}")
    return study


def states(study):
    return [(trial.number, str(trial.state)) for trial in study.trials()]


def at_once(number, work):
    """Runs `work(index)` in threads that begin together."""
    barrier, failures = threading.Barrier(number), []

    def run(index):
        barrier.wait()
        try:
            work(index)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_trial_from_its_first_to_its_last_moment(opened, where):
    study = filled(opened(where), 0)
    (trial,) = study.trials()
    assert (trial.number, trial.state, trial.overrides, trial.config_hash) == (0, "WAITING", {"seed": 0}, "h0")
    claim = study.claim({"h0"}, None)
    assert (claim.number, claim.chosen) == (0, {"seed": 0})
    study.keep(claim, folder="study-h0", run_id="4f2a")
    study.report(claim, 10, 0.5, 1)
    study.report(claim, 20, 0.75, 2)
    assert study.finish(claim, State.FINISHED, [0.75], seconds=3.5, metrics={"val_accuracy": 0.75})
    (trial,) = opened(where).trials()
    assert (trial.state, trial.values, trial.reports, trial.epoch) == (State.FINISHED, (0.75,), {10: 0.5, 20: 0.75}, 2)
    assert (trial.folder, trial.run_id, trial.seconds, trial.metrics) == (
        "study-h0", "4f2a", 3.5, {"val_accuracy": 0.75}
    )  # fmt: skip
    assert trial.host == liveness.this_process()["host"]
    assert study.claim(None, None) is None


def test_only_trials_of_the_command_are_taken(opened, where):
    study = filled(opened(where), 0, 1, 2)
    assert study.claim({"h2"}, None).number == 2
    assert study.claim({"h2"}, None) is None
    assert study.claim(None, None, excluded={0}).number == 1
    assert study.claim(None, None, excluded={0}) is None
    assert study.claim(None, None).number == 0


def test_two_studies_of_one_storage_take_each_trial_once(opened, where):
    filled(opened(where), *range(12))
    studies, taken = [opened(where) for _ in range(3)], [[], [], []]

    def work(index):
        while claim := studies[index].claim(None, None):
            taken[index].append(claim.number)

    at_once(3, work)
    assert sorted(sum(taken, [])) == list(range(12))


CLAIM_ALL = """
import json, sys
from kerasdl.config.schema import Pruning
from kerasdl.sweeps.open_study import create_or_load
from kerasdl.sweeps.samplers import pruner, sampler
from kerasdl.sweeps.storage import open_storage
from kerasdl.sweeps.trials import Objective
goals = [Objective("val_accuracy", True)]
study = create_or_load(open_storage(sys.argv[1]), "study", goals, sampler("grid", 0), pruner("none", Pruning()))
print("ready", flush=True)
sys.stdin.readline()
taken = []
while claim := study.claim(None, None):
    taken.append(claim.number)
print(json.dumps(taken))
"""


def test_two_processes_take_each_trial_once(opened, database):
    filled(opened(database), *range(12))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM_ALL, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    taken = [number for process in processes for number in json.loads(process.communicate(timeout=60)[0])]
    assert sorted(taken) == list(range(12))
    assert {trial.state for trial in opened(database).trials()} == {State.RUNNING}


def test_of_two_that_are_the_same_the_lower_number_is_run(opened, where):
    """As two machines leave them that add the same grid at once."""
    first, second = opened(where), opened(where)
    filled(first, 0)
    filled(second, 0, 1)
    assert states(first) == [(0, "WAITING"), (1, "WAITING"), (2, "WAITING")]
    claims = [second.claim(None, None), second.claim(None, None), second.claim(None, None)]
    assert [claim and claim.number for claim in claims] == [0, 2, None]
    assert states(first) == [(0, "RUNNING"), (2, "RUNNING")]  # the other is there no more


def test_a_duplicate_that_is_finished_goes_before_one_with_a_lower_number(opened, where):
    study = filled(opened(where), 0)
    space = grid(0)
    claim = study.claim(None, None)
    study.add(space, {"seed": 0}, "other")
    later = study.claim(None, None)
    study.finish(later, State.FINISHED, [0.5])
    duplicate = study.identify(claim, space, {"seed": 0}, "other")
    assert (duplicate.number, duplicate.values) == (1, (0.5,))


def test_a_drawn_trial_that_is_there_already_is_found(opened, where):
    study = filled(opened(where, sampled="random"), 0)
    study.claim(None, None)
    study.add_unsampled()
    claim = study.claim(None, None)
    assert claim.chosen is None
    duplicate = study.identify(claim, grid(0), {"seed": 0}, "h0")
    assert (duplicate.number, duplicate.state, duplicate.values) == (0, State.RUNNING, None)
    assert study.identify(claim, grid(1), {"seed": 1}, "h1") is None
    study.drop(claim.id)
    assert states(study) == [(0, "RUNNING")]


def test_what_is_too_many_is_dropped(opened, where):
    """As two machines leave them that both add the last trial of sweep.trials."""
    study = opened(where, sampled="random")
    for _ in range(4):
        study.add_unsampled()
    assert [study.claim(None, 2) and 1 for _ in range(3)] == [1, 1, None]
    assert states(study) == [(0, "RUNNING"), (1, "RUNNING")]


def test_another_attempt_is_no_other_trial(opened, where):
    study = opened(where, sampled="random")
    study.add_unsampled()
    study.finish(study.claim(None, 2), State.FAILED, None)
    study.retry_failed([0])
    study.add_unsampled()
    assert [study.claim(None, 2).number, study.claim(None, 2).number] == [0, 2]


def test_an_interrupted_trial_goes_on_as_the_same_one(opened, where):
    study = filled(opened(where), 0)
    claim = study.claim(None, None)
    study.report(claim, 10, 0.5, 1)
    study.release(claim, seconds=2.0)
    (trial,) = study.trials()
    assert (trial.state, trial.reports, trial.seconds) == (State.WAITING, {10: 0.5}, 2.0)
    again = opened(where).claim(None, None)
    assert (again.number, again.id, again.optuna_number) == (claim.number, claim.id, claim.optuna_number)


def test_reports_that_come_again_change_nothing(opened, where):
    study = filled(opened(where), 0)
    claim = study.claim(None, None)
    for step, value in ((10, 0.5), (20, 0.6), (10, 0.9), (20, 0.9), (30, 0.7), (30, 0.1)):
        study.report(claim, step, value, step // 10)
    assert study.trials()[0].reports == {10: 0.5, 20: 0.6, 30: 0.7}
    (trial,) = open_storage(where).get_all_trials(0 if "journal" in where else 1)
    assert trial.intermediate_values == {1: 0.5, 2: 0.6, 3: 0.7}
    assert study.last_report(claim) == [0.7]


def test_a_report_whose_process_was_killed_within_it_is_made_again(opened, where, monkeypatch):
    def half(study, objectives):
        def killed(claim_id, **attributes):
            if "steps" in attributes:
                raise KeyboardInterrupt
            set_attributes(claim_id, **attributes)

        claim = filled(study, 0).claim(None, None)
        study.report(claim, 10, 0.5, 1)
        set_attributes = study._set
        monkeypatch.setattr(study, "_set", killed)
        with pytest.raises(KeyboardInterrupt):
            study.report(claim, 20, 0.6, 2)
        monkeypatch.undo()
        study.report(claim, 20, 0.6, 2)
        study.report(claim, 30, 0.7, 3)
        return study.trials()[0].reports

    expected = {10: 0.5, 20: 0.6, 30: 0.7}
    assert half(opened(where), 1) == expected
    assert half(opened(where, [ACCURACY, SECONDS], name="several"), 2) == expected


def test_without_a_report_there_is_no_last_one(opened, where):
    study = filled(opened(where), 0)
    assert study.last_report(study.claim(None, None)) is None


def test_a_failed_trial_that_is_tried_again_keeps_its_number_and_what_it_had(opened, where):
    study = filled(opened(where), 0, 1)
    claim = study.claim(None, None)
    study.keep(claim, folder="study-h0", run_id="4f2a")
    study.report(claim, 10, 0.5, 1)
    study.finish(claim, State.FAILED, None, error="no memory", seconds=2.0)
    assert study.trials()[0].error == "no memory"
    study.retry_failed([1])  # it isn't failed
    assert states(study) == [(0, "FAILED"), (1, "WAITING")]
    study.retry_failed([0, 1])
    study.retry_failed([0, 1])  # it waits now
    (trial, _) = study.trials()
    assert (trial.number, trial.state, trial.reports, trial.seconds) == (0, State.WAITING, {10: 0.5}, 2.0)
    assert (trial.folder, trial.run_id, trial.error) == ("study-h0", "4f2a", None)
    again = study.claim({"h0"}, None)
    assert (again.number, again.optuna_number, again.chosen) == (0, 2, {"seed": 0})
    study.report(again, 10, 0.9, 1)
    study.report(again, 20, 0.6, 2)
    study.finish(again, State.FAILED, None)
    study.retry_failed([0])
    third = study.claim({"h0"}, None)
    assert (third.number, third.optuna_number) == (0, 3)
    study.finish(third, State.FINISHED, [0.6])
    assert [(trial.number, trial.state, trial.reports) for trial in study.trials()] == [
        (0, State.FINISHED, {10: 0.5, 20: 0.6}),
        (1, State.WAITING, {}),
    ]


def test_two_machines_that_try_the_same_failed_trial_again_run_it_once(opened, where):
    first, second = filled(opened(where), 0), opened(where)
    first.finish(first.claim(None, None), State.FAILED, None)
    at_once(2, lambda index: (first, second)[index].retry_failed([0]))
    claims = [first.claim(None, None), second.claim(None, None), first.claim(None, None)]
    assert [claim.number for claim in claims if claim] == [0]
    assert states(first) == [(0, "RUNNING")]


def test_an_orphan_is_what_a_dead_process_left(opened, where):
    code = CLAIM_ALL.replace("while claim :=", "if claim :=")
    study = filled(opened(where), 0, 1, 2)
    ended = subprocess.run([sys.executable, "-c", code, where], input="\n", capture_output=True, text=True)
    assert ended.stdout.endswith("[0]\n"), ended.stderr
    study.claim(None, None)
    assert states(study) == [(0, "RUNNING"), (1, "RUNNING"), (2, "WAITING")]
    (orphan,) = study.orphans()
    assert orphan.number == 0
    study.release(orphan)
    assert study.orphans() == []
    assert study.claim({"h0"}, None).id == orphan.id


class Clock:
    now = 0.0


@pytest.fixture
def monitors():
    """Makes the monitor of a machine, with a patience of 30 s on one clock."""
    Clock.now = 0.0
    return lambda: liveness.HeartbeatMonitor(30.0, lambda: Clock.now)


def test_a_trial_whose_machine_is_silent_is_taken_over_by_exactly_one(opened, where, monitors):
    silent, own = filled(opened(where), 0, 1), opened(where)
    lost, mine = silent.claim(None, None), own.claim(None, None)
    silent.report(lost, 10, 0.5, 1)
    others = [(opened(where), monitors()) for _ in range(2)]
    assert [study.take_over(monitor, []) for study, monitor in others] == [[], []]
    Clock.now += 20
    own.beat([mine])
    assert [study.take_over(monitor, []) for study, monitor in others] == [[], []]
    Clock.now += 20
    own.beat([mine])
    taken = [[], []]
    at_once(2, lambda index: taken[index].extend(others[index][0].take_over(others[index][1], [])))
    assert sorted(sum(taken, [])) == [0]
    assert states(own) == [(0, "WAITING"), (1, "RUNNING")]
    again = own.claim(None, None)
    assert (again.number, again.chosen, own.trials()[0].reports) == (0, {"seed": 0}, {10: 0.5})


def test_nobody_takes_over_from_itself(opened, where, monitors):
    study, monitor = filled(opened(where), 0), monitors()
    claim = study.claim(None, None)
    study.take_over(monitor, [claim])
    Clock.now += 100
    assert study.take_over(monitor, [claim]) == []


def test_a_machine_that_wakes_up_finds_its_trial_taken_and_leaves_it(opened, where, monitors):
    """Nothing that it still says about the trial counts, and nothing of it ends the machine's other trials."""
    asleep, other, monitor = filled(opened(where, pruned="asha"), 0), opened(where), monitors()
    claim = asleep.claim(None, None)
    asleep.report(claim, 10, 0.5, 1)
    other.take_over(monitor, [])
    Clock.now += 31
    assert other.take_over(monitor, []) == [0]
    theirs = other.claim(None, None)
    asleep.beat([claim])
    asleep.keep(claim, run_id="4f2a")
    asleep.report(claim, 20, 0.1, 2)
    assert not asleep.should_prune(claim)
    asleep.release(claim)
    assert asleep.finish(claim, State.FINISHED, [0.1]) is False
    assert other.finish(theirs, State.FINISHED, [0.9])
    assert [(trial.number, trial.values, trial.run_id) for trial in other.trials()] == [(0, (0.9,), None)]


@pytest.fixture
def machines(opened, where, monkeypatch):
    """Makes studies of machines with names of their own; at any time the one acts that was named last."""
    monkeypatch.setattr(liveness, "machine", lambda: acting[-1])
    monkeypatch.setattr(liveness, "this_process", lambda: {"machine": acting[-1], "host": acting[-1], "pid": 2**22 + 1})
    acting = ["nobody"]

    def machine(name):
        study = opened(where)

        def acts(method, *arguments):
            acting.append(name)
            try:
                return getattr(study, method)(*arguments)
            finally:
                acting.pop()

        acts.study = study
        return acts

    return machine


def test_who_loses_a_race_for_a_trial_leaves_no_name(machines, monkeypatch):
    """The other is a moment faster, just when both have seen that the trial waits."""
    first, second = machines("first"), machines("second")
    filled(first.study, 0, 1)
    won, look = [], second.study._all

    def overtaken(*arguments):
        found = look(*arguments)
        if not won:
            won.append(first("claim", {"h0"}, None))
        return found

    monkeypatch.setattr(second.study, "_all", overtaken)
    other = second("claim", None, None)
    assert [claim.number for claim in [*won, other]] == [0, 1]
    assert {trial.number: trial.host for trial in first.study.trials()} == {0: "first", 1: "second"}
    # No process of these numbers lives: each machine finds its own trial, and not the other's.
    assert [claim.number for claim in second("orphans")] == [1]
    assert [claim.number for claim in first("orphans")] == [0]


def test_who_is_killed_before_it_has_written_its_name_loses_its_trial_to_who_waits(machines, monkeypatch, monitors):
    killed, other, monitor = machines("killed"), machines("other"), monitors()
    filled(killed.study, 0)
    killed("release", killed("claim", None, None))  # an earlier attempt; its process has ended, too

    def kill(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(killed.study._storage, "set_trial_user_attr", kill)
        with pytest.raises(KeyboardInterrupt):
            killed("claim", None, None)
    assert states(other.study) == [(0, "RUNNING")]
    assert killed("orphans") == other("orphans") == []  # it may be anyone's
    assert other("take_over", monitor, []) == []
    Clock.now += 31
    assert other("take_over", monitor, []) == [0]
    assert other("claim", None, None).number == 0


def test_a_trial_that_is_claimed_again_has_the_whole_patience_ahead(opened, where, monitors):
    """However long it waited since another machine saw it run."""
    study, other, monitor = filled(opened(where), 0), opened(where), monitors()
    first = study.claim(None, None)
    assert other.take_over(monitor, []) == []
    study.release(first)
    for _ in range(3):
        Clock.now += 15
        assert other.take_over(monitor, []) == []
    study.claim(None, None)
    assert other.take_over(monitor, []) == []
    Clock.now += 31
    assert other.take_over(monitor, []) == [0]


# Of a metric that trials report, in the order of their numbers.
CURVES = [
    [0.5, 0.6, 0.7, 0.8],
    [0.1, 0.2, 0.3, 0.4],
    [0.6, 0.7, 0.8, 0.9],
    [0.2, 0.1, 0.1, 0.1],
    [0.55, 0.56, 0.57, 0.58],
    [0.3, 0.65, 0.75, 0.95],
    [0.7, 0.3, 0.2, 0.1],
]


def decisions(study, interrupt=None):
    """Runs trials with given learning curves one after another; returns after which report each was pruned."""
    filled(study, *range(len(CURVES)))
    pruned = []
    for curve in CURVES:
        claim = study.claim(None, None)
        pruned.append(None)
        for number, value in enumerate(curve):
            study.report(claim, 10 * (number + 1), value, number + 1)
            if study.should_prune(claim):
                pruned[-1] = number
                study.finish(claim, State.PRUNED, study.last_report(claim))
                break
            if interrupt:
                study, claim = interrupt(study, claim)
                for earlier in range(number + 1):  # it may go on from an earlier checkpoint
                    study.report(claim, 10 * (earlier + 1), -1.0, earlier + 1)
        else:
            study.finish(claim, State.FINISHED, [curve[-1]])
    return pruned


@pytest.mark.parametrize("pruned", ["asha", "median", "percentile", "hyperband"])
def test_pruning_is_the_same_whether_or_not_trials_were_interrupted(opened, tmp_path, pruned):
    settings = {"pruned": pruned, "reduction_factor": 2, "startup_trials": 2, "warmup": 0, "max_resource": 4}
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")

    def interrupt(study, claim):
        study.release(claim)
        study = opened(parts, **settings)
        return study, study.claim(None, None)

    expected = decisions(opened(whole, **settings))
    assert any(number is not None for number in expected)
    assert any(number is None for number in expected)
    assert decisions(opened(parts, **settings), interrupt) == expected


def test_a_rung_that_a_trial_has_taken_is_taken_when_it_is_tried_again(opened, where):
    """With the value that it had there: a later and better one would be unfair to the others on that rung."""
    study = filled(opened(where, pruned="asha", reduction_factor=2), 0)

    def rungs(claim):
        found = optuna.load_study(study_name="study", storage=open_storage(where)).trials[claim.optuna_number]
        return {key: value for key, value in found.system_attrs.items() if "rung" in key}

    claim = study.claim(None, None)
    study.report(claim, 10, 0.6, 1)
    study.should_prune(claim)
    study.finish(claim, State.FAILED, None)
    study.retry_failed([0])
    again = study.claim(None, None)
    assert rungs(again) == rungs(claim) == {"completed_rung_0": 0.6}
    study.report(again, 20, 0.7, 2)
    study.should_prune(again)
    assert rungs(again) == {"completed_rung_0": 0.6, "completed_rung_1": 0.7}


def test_a_pruned_trial_keeps_its_last_report(opened, where):
    study = filled(opened(where), 0)
    claim = study.claim(None, None)
    study.report(claim, 10, 0.5, 1)
    study.report(claim, 20, 0.4, 2)
    study.finish(claim, State.PRUNED, study.last_report(claim))
    (trial,) = study.trials()
    assert (trial.state, trial.values, trial.epoch) == (State.PRUNED, (0.4,), 2)


def test_several_objectives_are_reported_and_never_pruned(opened, where):
    study = filled(opened(where, [ACCURACY, SECONDS], pruned="asha"), 0)
    claim = study.claim(None, None)
    for step, value in ((10, 0.5), (20, 0.6), (20, 0.7)):
        study.report(claim, step, value, step // 10)
        assert not study.should_prune(claim)
    study.finish(claim, State.FINISHED, [0.6, 12.5])
    (trial,) = study.trials()
    assert (trial.values, trial.reports) == ((0.6, 12.5), {10: 0.5, 20: 0.6})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"0.1": 0.1, "0.01": 0.01}, {"0.1": 0.1, "0.5": 0.5, "1": 1}),
        ({"1": 1, "2": 2}, {"1": 1, "4": 4}),
        ({"1": 1, "2": 2}, {"1": 1, "0.5": 0.5}),
        ({"sgd": "sgd"}, {"sgd": "sgd", "adam": "adam"}),
        ({"true": True}, {"null": None, "true": True, "[1,2]": "[1,2]"}),
    ],
    ids=["floats", "integers", "integers, then floats", "categories", "anything"],
)
def test_a_grid_can_be_widened(opened, where, before, after):
    for choices in (before, after):
        study, space = opened(where), Space((), (Axis("x", choices),))
        known = {trial.config_hash for trial in study.trials()}
        for chosen in space.grid():
            if str(chosen) not in known:
                study.add(space, chosen, str(chosen))
    expected = list({**before, **after}.values())
    assert [trial.overrides for trial in study.trials()] == [{"x": value} for value in expected]
    claims = [study.claim(None, None) for _ in expected]
    assert [claim.chosen["x"] for claim in claims] == expected
    assert [type(claim.chosen["x"]) for claim in claims] == [type(value) for value in expected]


def test_numbers_of_a_widened_grid_are_params_that_optuna_can_draw(opened, where):
    for rates in ((0.1, 0.01), (0.1, 0.01, 0.5)):
        study, space = opened(where), Space((), (Axis("rate", {str(rate): rate for rate in rates}),))
        for chosen in list(space.grid())[len(study.trials()) :]:
            study.add(space, chosen, str(chosen))
    found = optuna.load_study(study_name="study", storage=open_storage(where)).trials
    assert [trial.params for trial in found] == [{"rate": 0.1}, {"rate": 0.01}, {"rate": 0.5}]


def test_values_of_each_condition_are_kept_with_their_own_range(opened, where):
    axes = (
        Axis("kind", {"a": "a", "b": "b"}),
        Axis("x", {}, Interval(0.0, 1.0), {"kind": "a"}),
        Axis("x", {}, Interval(5.0, 9.0), {"kind": "b"}),
    )
    study = opened(where)
    study.add(Space((), axes), {"kind": "a", "x": 0.5}, "h0")
    study.add(Space((), axes), {"kind": "b", "x": 7.0}, "h1")
    found = optuna.load_study(study_name="study", storage=open_storage(where)).trials
    assert [trial.params for trial in found] == [{"kind": "a", "x": 0.5}, {"kind": "b", "x": 7.0}]


def test_a_search_whose_categories_changed_needs_another_name(opened, where):
    study = opened(where, sampled="random")
    study.add_unsampled()
    study.sample(study.claim(None, 2), Space((), (Axis("x", {"a": "a", "b": "b"}),)))
    study.add_unsampled()
    with pytest.raises(
        ConfigError,
        match=r"^sweep: a swept key has other values than in .*another sweep\.name\.$",
    ):
        study.sample(study.claim(None, 2), Space((), (Axis("x", {"a": "a", "c": "c"}),)))


def test_a_study_looks_for_one_thing(opened, where):
    assert opened(where).is_new
    assert not opened(where).is_new
    with pytest.raises(ConfigError) as caught:
        opened(where, [LOSS])
    assert str(caught.value) == (
        "sweep.metric: sweep study already exists, to maximize val_accuracy; this command is to minimize val_loss. "
        "Give this sweep another sweep.name."
    )
    with pytest.raises(ConfigError, match="to maximize val_accuracy; this command is to minimize val_accuracy"):
        opened(where, [Objective("val_accuracy", False)])
    with pytest.raises(ConfigError, match="this command is to maximize val_accuracy and minimize seconds"):
        opened(where, [ACCURACY, SECONDS])
    assert opened(where, [LOSS], name="another").is_new


def test_two_that_make_a_study_at_once_share_it(opened, where):
    studies = [None, None]
    open_storage(where)

    def work(index):
        studies[index] = opened(where)

    at_once(2, work)
    assert sorted(study.is_new for study in studies) == [False, True]
    studies[0].set_attribute("mlflow_run", "4f2a")
    assert studies[1].attribute("mlflow_run") == "4f2a"
    assert studies[1].attribute("other") is None


def test_looking_for_a_study_makes_none(opened, where):
    assert not has_study(open_storage(where), "study")
    assert not has_study(open_storage(where), "study")
    opened(where)
    assert has_study(open_storage(where), "study")
