"""The results of a sweep: which trials are best, the table of all trials, the last lines, and the exit code."""

import csv
import io
import math
import signal

import pytest

from kerasdl.sweeps.results import best, csv_text, exit_code, print_results, values_of
from kerasdl.sweeps.trials import Objective, State, Trial, swept_keys

ACCURACY, LOSS = Objective("val_accuracy", True), Objective("val_loss", False)
SECONDS = Objective("seconds", False)


def trials(*values, state=State.FINISHED):
    made = [(value,) if isinstance(value, float) else value for value in values]
    return [Trial(number, state, {}, values=value) for number, value in enumerate(made)]


def numbers(found):
    return [trial.number for trial in found]


@pytest.mark.parametrize(("objective", "expected"), [(ACCURACY, [1]), (SECONDS, [2])])
def test_the_best_of_one_objective(objective, expected):
    assert numbers(best(trials(0.5, 0.9, 0.1), [objective])) == expected


def test_of_equal_ones_the_first_is_best():
    assert numbers(best(trials(0.5, 0.9, 0.9), [ACCURACY])) == [1]


@pytest.mark.parametrize("objective", [ACCURACY, SECONDS])
def test_what_is_not_a_number_is_never_best(objective):
    assert numbers(best(trials(math.nan, 0.5, math.nan), [objective])) == [1]
    assert best(trials(math.nan), [objective]) == []


def test_infinity_is_a_number():
    assert numbers(best(trials(math.inf, 3.0), [SECONDS])) == [1]
    assert numbers(best(trials(-math.inf, 3.0), [ACCURACY])) == [1]


@pytest.mark.parametrize("state", [state for state in State if state is not State.FINISHED])
def test_only_what_is_finished_is_best(state):
    assert best(trials(0.9, state=state), [ACCURACY]) == []
    assert best(trials((0.9, 1.0), state=state), [ACCURACY, SECONDS]) == []


def test_of_nothing_nothing_is_best():
    assert best([], [ACCURACY]) == best([], [ACCURACY, SECONDS]) == best(trials(None), [ACCURACY]) == []


def test_with_several_objectives_what_nothing_else_beats_is_best():
    found = trials((0.9, 10.0), (0.8, 5.0), (0.8, 6.0), (0.7, 5.0), (0.95, 20.0), (0.5, 1.0))
    assert numbers(best(found, [ACCURACY, SECONDS])) == [0, 1, 4, 5]


def test_equal_ones_stand_side_by_side_at_the_front():
    assert numbers(best(trials((0.9, 10.0), (0.9, 10.0)), [ACCURACY, SECONDS])) == [0, 1]


def test_a_value_that_is_not_a_number_keeps_a_trial_from_the_front_and_pushes_none_off_it():
    found = trials((math.nan, 1.0), (0.5, 10.0), (0.9, math.nan), (0.6, 20.0))
    assert numbers(best(found, [ACCURACY, SECONDS])) == [1, 3]


def rows(trials, objectives=(ACCURACY,)):
    return list(csv.DictReader(io.StringIO(csv_text(trials, objectives), newline="")))


def test_a_trial_is_a_row_and_each_swept_key_a_column():
    trial = Trial(
        number=3,
        state=State.FINISHED,
        overrides={"optimizer.learning_rate": 0.1, "seed": 2},
        config_hash="abc",
        values=(0.5,),
        epoch=4,
        run_id="r1",
        seconds=12.34,
    )
    header = "trial,state,optimizer.learning_rate,seed,val_accuracy,epoch,seconds,run_id,config_hash,error"
    assert csv_text([trial], [ACCURACY]) == f"{header}\n3,FINISHED,0.1,2,0.5,4,12.3,r1,abc,\n"


def test_rows_are_ordered_by_number():
    trials = [Trial(number, State.WAITING, {"seed": number}) for number in (2, 10, 0)]
    assert [row["trial"] for row in rows(trials)] == ["0", "2", "10"]


def test_numbers_keep_all_their_digits():
    value, rate = 0.1 + 0.2, 1 / 3
    (row,) = rows([Trial(0, State.FINISHED, {"rate": rate}, values=(value, 1e-30))], [ACCURACY, LOSS])
    assert (float(row["val_accuracy"]), float(row["val_loss"]), float(row["rate"])) == (value, 1e-30, rate)


def test_a_key_that_a_trial_lacks_is_empty_and_null_is_not():
    trials = [Trial(0, State.FINISHED, {"model": "mlp"}), Trial(1, State.FINISHED, {"schedule": None, "model": "cnn"})]
    assert swept_keys(trials) == ["model", "schedule"]
    assert [row["schedule"] for row in rows(trials)] == ["", "null"]


def test_what_has_no_value_leaves_its_columns_empty():
    trials = [
        Trial(0, State.FAILED, {}, values=None),
        Trial(1, State.PRUNED, {}, values=(0.25,)),
        Trial(2, State.FINISHED, {}, values=(0.5, float("nan"))),
    ]
    read = rows(trials, [ACCURACY, LOSS])
    assert [(row["val_accuracy"], row["val_loss"]) for row in read] == [("", ""), ("0.25", ""), ("0.5", "nan")]
    assert [row["epoch"] for row in read] == ["0", "0", "0"]


def test_commas_quotes_and_line_ends_survive():
    error = 'OOM: "a, b"\nand more\rand more'
    (row,) = rows([Trial(0, State.FAILED, {"model.units": "[64,128]", "on": True}, error=error)])
    assert (row["error"], row["model.units"], row["on"]) == (error, "[64,128]", "true")
    assert None not in row  # no cell too many


def test_no_trial_is_a_header():
    assert csv_text([], [ACCURACY, LOSS]).split("\n") == [
        "trial,state,val_accuracy,val_loss,epoch,seconds,run_id,config_hash,error",
        "",
    ]


def test_the_values_of_a_trial_are_those_of_its_objectives():
    metrics = {"val_accuracy": 0.5, "seconds": 3, "loss": math.inf}
    assert values_of(metrics, [SECONDS, ACCURACY]) == [3.0, 0.5]
    assert values_of(metrics, [LOSS]) == "its run has no val_loss, only loss, seconds, val_accuracy"
    assert values_of({"val_loss": math.nan}, [LOSS]) == "its val_loss is not a number"


def test_the_last_lines_give_the_best_what_failed_and_how_to_resume(capsys, tmp_path):
    failed = [Trial(number, State.FAILED, {"seed": number}, error="no memory") for number in range(2, 9)]
    done = [
        Trial(0, State.FINISHED, {"seed": 0}, values=(0.5,), run_id="4f2a"),
        Trial(1, State.PRUNED, {"seed": 1}, values=(0.9,)),
    ]
    print_results("mine", [*done, *failed], [ACCURACY], tmp_path / "logs", ["trial 0: no model"])
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "sweep      mine: 9 trials, 1 finished, 1 pruned, 7 failed",
        "best       trial 0: val_accuracy 0.5000  (seed=0)",
        "run        4f2a",
        "resume     run the same command again: finished trials are kept, the others are run",
    ]
    *listed, counted, problem = shown.err.splitlines()
    assert listed == [f"Error: trial {number} (seed={number}): no memory" for number in range(2, 7)]
    assert counted.startswith("Error: 7 of 9 trials failed, and 2 more. Logs: ")
    assert problem == "Error: trial 0: no model"
    print_results("mine", done, [ACCURACY], tmp_path / "logs", [])
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "resume" not in shown.out


@pytest.mark.parametrize(
    ("states", "problems", "interrupted", "expected"),
    [
        ([State.FINISHED, State.PRUNED], [], None, 0),
        ([State.FINISHED, State.PRUNED], ["no model"], None, 1),
        ([State.FINISHED, State.FAILED], [], None, 1),
        ([State.FINISHED, State.WAITING], [], None, 1),
        ([State.RUNNING], [], None, 1),
        ([State.WAITING], [], "SIGINT", 128 + signal.SIGINT),
        ([State.FINISHED], [], "SIGTERM", 128 + signal.SIGTERM),
    ],
)
def test_the_exit_code_is_zero_only_if_there_is_everything(states, problems, interrupted, expected):
    trials = [Trial(number, state, {}) for number, state in enumerate(states)]
    assert exit_code(trials, problems, interrupted) == expected
