"""The words that a sweep's modules share: which trial is best, and how values are written."""

import math

import pytest

from kerasdl.sweeps.trials import Objective, State, Trial, best, label, text

ACCURACY, SECONDS = Objective("val_accuracy", True), Objective("seconds", False)


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


def test_a_label_is_short_where_it_can_be():
    assert label({"optimizer.learning_rate": 0.01, "seed": 2}) == "learning_rate=0.01 seed=2"
    assert label({"model.dropout": 0.5, "head.dropout": 0.1}) == "model.dropout=0.5 head.dropout=0.1"
    assert label({}) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "null"), (True, "true"), (False, "false"), (1e-05, "1e-05"), (0.123456789, "0.123457"), (64, "64"),
     ("adam", "adam")],
)  # fmt: skip
def test_a_value_is_written_as_it_would_be_typed(value, expected):
    assert text(value) == expected
