"""A run that somebody outside may end early: what it tells, and when it stops."""

import pytest

from kerasdl.training.interrupts import PRUNED, Interrupts
from kerasdl.training.pruning import Pruning

EPOCHS = 3


class Answers:
    """Keeps what it is reported, and says what it is reported to say."""

    def __init__(self, *answers):
        self.reported = []
        self._answers = list(answers)

    def __call__(self, epoch, step, metrics):
        self.reported.append((epoch, step, dict(metrics)))
        return self._answers.pop(0) if self._answers else False


@pytest.fixture
def interrupts():
    return Interrupts()


def test_each_evaluation_is_reported_with_the_epochs_and_steps_that_are_done(interrupts):
    answers = Answers()
    pruning = Pruning(answers, interrupts, EPOCHS)
    pruning.on_call(0, 5, {"loss": 2.0})
    pruning.on_validation(5, {"val_loss": 1.9})
    pruning.on_call(0, 10, {"loss": 1.8})
    pruning.on_epoch(0, 10, {"loss": 1.8, "val_loss": 1.7})
    pruning.on_call(1, 15, {"loss": 1.6})
    pruning.on_validation(15, {"val_loss": 1.5})
    assert answers.reported == [
        (0, 5, {"val_loss": 1.9}),
        (1, 10, {"loss": 1.8, "val_loss": 1.7}),
        (1, 15, {"val_loss": 1.5}),
    ]
    assert interrupts.requested is None


def test_what_is_no_evaluation_is_not_reported(interrupts):
    answers = Answers()
    pruning = Pruning(answers, interrupts, EPOCHS)
    pruning.on_call(0, 5, {"loss": 2.0})
    pruning.on_interval(5, {"loss": 2.0}, [0.1])
    pruning.on_rollback(5, 1)
    assert answers.reported == []


@pytest.mark.parametrize("evaluation", ["in an epoch", "at its end"])
def test_training_stops_when_the_answer_is_to_prune(interrupts, evaluation):
    pruning = Pruning(Answers(True), interrupts, EPOCHS)
    pruning.on_call(0, 5, {})
    pruning.on_validation(5, {}) if evaluation == "in an epoch" else pruning.on_epoch(0, 5, {})
    assert interrupts.requested == PRUNED


def test_behind_the_last_epoch_there_is_nothing_to_prune(interrupts):
    answers = Answers(True)
    pruning = Pruning(answers, interrupts, EPOCHS)
    pruning.on_call(EPOCHS - 1, 30, {})
    pruning.on_epoch(EPOCHS - 1, 30, {"val_loss": 9.0})
    assert answers.reported == [(EPOCHS, 30, {"val_loss": 9.0})]  # but the end is reported
    assert interrupts.requested is None


def test_in_the_last_epoch_there_is(interrupts):
    pruning = Pruning(Answers(True), interrupts, EPOCHS)
    pruning.on_call(EPOCHS - 1, 25, {})
    pruning.on_validation(25, {})
    assert interrupts.requested == PRUNED


def test_a_signal_that_came_before_stands(interrupts):
    """The run can be resumed then: it isn't over."""
    pruning = Pruning(Answers(True), interrupts, EPOCHS)
    interrupts.requested = "SIGTERM"
    pruning.on_epoch(0, 10, {})
    assert interrupts.requested == "SIGTERM"


def test_who_may_go_on_undoes_no_earlier_word(interrupts):
    pruning = Pruning(Answers(True, False), interrupts, EPOCHS)
    pruning.on_epoch(0, 10, {})
    pruning.on_epoch(1, 20, {})
    assert interrupts.requested == PRUNED
