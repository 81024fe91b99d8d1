"""What a sweep shows: a table that fits the terminal, and elsewhere each line exactly once."""

import io
import re
from dataclasses import dataclass, replace

import pytest
from rich.cells import cell_len

from kerasdl.sweeps.display import Display
from kerasdl.sweeps.progress import TrialProgress
from kerasdl.sweeps.trials import Objective, State, Trial

ACCURACY = Objective("val_accuracy", maximize=True)
SIZE = Objective("parameters", maximize=False)


class Terminal(io.StringIO):
    """A terminal that keeps everything it was sent."""

    def isatty(self):
        return True

    def text(self):
        """Returns everything but the colours and movements of the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())

    def screen(self):
        """Returns the lines of the table as last drawn: after the last line that was erased to make room."""
        last = self.getvalue().rpartition("\x1b[2K")[2]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last).rstrip("\n").splitlines()

    def row(self, number):
        [line] = [line for line in self.screen() if re.match(rf" *{number} ", line)]
        return line


class Clock:
    """A clock that each look moves by a second, unless it is stopped."""

    def __init__(self, stopped=False):
        self.seconds, self.stopped = 0.0, stopped

    def __call__(self):
        self.seconds += not self.stopped
        return self.seconds


@pytest.fixture
def size(monkeypatch):
    """Sets the size of terminals: columns and lines. It is 80x24 at first."""

    def set_size(columns, lines):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))

    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    set_size(80, 24)
    return set_size


def display(file, total=12, objectives=(ACCURACY,), jobs=2, now=None):
    return Display("rates", objectives, total, epochs=10, jobs=jobs, file=file, now=now or Clock())


def waiting(number, **overrides):
    return Trial(number, State.WAITING, overrides or {"optimizer.learning_rate": 0.01, "seed": number})


def running(number, **overrides):
    return replace(waiting(number, **overrides), state=State.RUNNING)


def ended(number, value=0.9, seconds=100.0, state=State.FINISHED, **overrides):
    values = None if state is State.FAILED else (value,)
    return replace(waiting(number, **overrides), state=state, values=values, seconds=seconds, epoch=10)


def progress(seconds=0.0, epoch=3, metric=0.5):
    return TrialProgress(epoch, 10, metric, seconds)


def shown(trials, progress_of=None, earlier=(), **settings):
    """Returns a terminal on which `trials` stand, of which `earlier` was how they stood when the sweep began."""
    terminal = Terminal()
    with display(terminal, **settings) as shows:
        shows.update(earlier, {})
        shows.update(trials, progress_of or {})
    return terminal


def many():
    """Returns 200 trials: 150 ended, 3 of them running at last, and the best of them an early one."""
    long = {"model.hidden_units": "[" + "128," * 30 + "128]"}
    return [
        *(ended(number, 0.99 if number == 7 else 0.5, **long) for number in range(150)),
        *(running(number, **long) for number in range(150, 153)),
        *(waiting(number) for number in range(153, 200)),
    ]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (100, 30), (200, 50), (60, 12)])
def test_200_trials_fit_the_terminal(size, columns, lines):
    size(columns, lines)
    screen = shown(many(), total=200).screen()
    assert len(screen) == lines - 1  # all of them used, but for the cursor's
    assert max(map(cell_len, screen)) <= columns
    assert screen[-2].startswith("150/200 done, 3 running")
    assert screen[-1].startswith("best val_accuracy 0.9900 (trial 7: hidden_units=[128,")


def test_running_trials_the_best_and_the_latest_have_rows_and_the_others_are_counted(size):
    terminal = shown(many(), total=200, earlier=many()[:149])
    numbers = [int(line.split()[0]) for line in terminal.screen()[3:-3]]
    assert numbers == [7, *range(137, 153)]
    assert "… 136 more done, 47 waiting" in terminal.screen()


def test_what_ended_last_follows_from_the_order_of_ending(size):
    size(80, 10)
    terminal, trials = Terminal(), [ended(n, 0.9 - n / 100) if n != 3 else running(n) for n in range(12)]
    with display(terminal) as shows:
        shows.update(trials, {})
        shows.update([*trials[:3], ended(3, 0.1), *trials[4:]], {})
    numbers = [int(line.split()[0]) for line in terminal.screen()[3:-3]]
    assert numbers == [0, 3, 11]  # the best, that of the last update, the last of those before


def test_more_running_trials_than_rows_still_fit(size):
    size(80, 12)
    screen = shown([running(number) for number in range(20)], total=20).screen()
    assert len(screen) == 11
    assert "… 14 more running" in screen


def test_rows_say_state_epoch_metric_and_which_is_best(size):
    trials = [ended(0, 0.91), ended(1, 0.98), ended(2, 0.3, state=State.PRUNED), running(3), running(4)]
    terminal = shown(trials, {3: progress(epoch=4, metric=0.87654), 4: progress(epoch=0, metric=None)})
    assert "#  state     overrides                  epoch  val_accuracy" in terminal.screen()[1]
    assert terminal.row(0).split() == ["0", "FINISHED", "learning_rate=0.01", "seed=0", "10/10", "0.9100"]
    assert terminal.row(1).split() == ["1", "FINISHED", "learning_rate=0.01", "seed=1", "10/10", "0.9800", "★"]
    assert terminal.row(2).split()[1:] == ["PRUNED", "learning_rate=0.01", "seed=2", "10/10", "0.3000"]
    assert terminal.row(3).split()[1:] == ["RUNNING", "learning_rate=0.01", "seed=3", "4/10", "0.8765"]
    assert terminal.row(4).split()[1:] == ["RUNNING", "learning_rate=0.01", "seed=4", "0/10"]


@pytest.mark.parametrize(
    ("state", "colour"), [(State.FINISHED, 32), (State.PRUNED, 33), (State.FAILED, 31), (State.RUNNING, 36)]
)
def test_states_are_coloured(size, state, colour):
    trial = running(0) if state is State.RUNNING else ended(0, state=state)
    assert f"\x1b[{colour}m{state}\x1b[0m" in shown([trial]).getvalue()


def test_a_wide_terminal_shows_the_time_as_well(size):
    size(100, 24)
    terminal = shown([ended(0, seconds=192), running(1)], {1: progress(seconds=65)})
    assert terminal.row(0).rstrip().endswith("3 min 12 s")
    assert terminal.row(1).rstrip().endswith("1 min 05 s")


def test_a_bar_follows_the_epochs_of_a_trial(size):
    size(130, 24)
    row = shown([running(0)], {0: TrialProgress(5, 10, None, 9.0)}).getvalue()
    assert "\x1b[36m━━━━━━" in row
    assert "\x1b[36m━━━━━━━" not in row


def test_a_trial_on_another_machine_shows_what_it_reported(size):
    elsewhere = replace(running(0), reports={100: 0.4, 200: 0.6}, epoch=2)
    assert shown([elsewhere]).row(0).split()[-2:] == ["2/10", "0.6000"]


def test_swept_epochs_are_those_of_the_trial(size):
    trial = replace(ended(0), overrides={"trainer.epochs": 3}, epoch=3)
    assert " 3/3 " in shown([trial]).row(0)


def test_the_summary_counts_and_names_the_best(size):
    size(160, 24)
    trials = [
        *(ended(n, 0.9 + n / 100) for n in range(8)),
        *(ended(n, 0.99, state=State.PRUNED) for n in range(8, 11)),
        ended(11, state=State.FAILED),
        running(12),
        running(13),
    ]
    counts, best = (
        "12/20 done (3 pruned, 1 failed), 2 running",
        "val_accuracy 0.9700 (trial 7: learning_rate=0.01 seed=7)",
    )
    assert shown(trials, earlier=trials, total=20).screen()[-1] == f"{counts}   best {best}"


def test_less_is_better_where_the_objective_is_minimized(size):
    trials = [ended(0, 0.3), ended(1, 0.1), ended(2, 0.2)]
    terminal = shown(trials, objectives=(Objective("val_loss", maximize=False),))
    assert "best val_loss 0.1000 (trial 1:" in terminal.screen()[-1]
    assert "★" in terminal.row(1)


def test_of_several_objectives_the_first_is_shown_and_the_pareto_front_counted(size):
    values = [(0.9, 100.0), (0.8, 50.0), (0.7, 80.0)]
    trials = [replace(ended(n), values=pair) for n, pair in enumerate(values)]
    terminal = shown(trials, objectives=(ACCURACY, SIZE), total=3)
    assert terminal.screen()[-1] == "3/3 done, 0 running   2 on the Pareto front"
    assert "parameters" not in terminal.text()
    assert ["★" in terminal.row(n) for n in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("total", "jobs", "at_work", "left"),
    [
        (4, 2, {}, "2 min 15 s"),  # 3 trials of 90 s on 2 jobs
        (2, 8, {1: 30.0}, "1 min 00 s"),  # jobs without a trial don't help
        (3, 8, {1: 30.0}, "1 min 30 s"),  # the one that hasn't begun takes its whole time
        (3, 2, {1: 30.0, 2: 60.0}, "1 min 00 s"),  # the slower of two
        (6, 2, {1: 30.0, 2: 60.0}, "3 min 00 s"),  # (60 + 30 + 3 * 90) / 2
        (6, 2, {1: 200.0, 2: 0.0}, "3 min 00 s"),  # (0 + 90 + 3 * 90) / 2: being late saves the others nothing
        (10, 1, {1: 0.0, 2: 0.0, 3: 0.0}, "4 min 30 s"),  # three at work with one job: other machines help
        (2, 1, {1: 500.0}, None),  # longer than any other: nothing is known
        (1, 1, {}, None),  # nothing is left
    ],
)
def test_time_left_follows_from_the_mean_duration_the_rest_and_the_jobs(size, total, jobs, at_work, left):
    size(160, 24)
    trials = [ended(0, seconds=90.0), *(running(number) for number in at_work)]
    progress_of = {number: progress(seconds) for number, seconds in at_work.items()}
    summary = shown(trials, progress_of, earlier=[running(0)], total=total, jobs=jobs).screen()[-1]
    assert summary.partition(")   ")[2] == (f"{left} left" if left else "")


def test_time_left_is_unknown_before_a_trial_of_this_sweep_ends(size):
    trials = [ended(0, seconds=90.0), running(1), running(2)]
    assert " left" not in shown(trials, earlier=trials).text()
    failed = [ended(0, seconds=90.0), ended(1, state=State.FAILED), running(2)]
    assert " left" not in shown(failed, earlier=trials).text()
    pruned = [ended(0, seconds=90.0), ended(1, state=State.PRUNED), running(2)]
    assert " left" in shown(pruned, earlier=trials).text()


def test_a_failure_is_shown_above_the_table_once(size):
    terminal = Terminal()
    with display(terminal) as shows:
        shows.update([running(0)], {})
        for _ in range(3):
            shows.update([replace(ended(0, state=State.FAILED), error="Loss is [nan] at step 7.")], {})
    line = "trial 0    FAILED    learning_rate=0.01 seed=0: Loss is [nan] at step 7."
    assert terminal.text().count(line) == 1
    assert "Loss is" not in "\n".join(terminal.screen())


def test_what_is_said_stays_above_the_table_as_it_was_said(size):
    terminal = Terminal()
    with display(terminal) as shows:
        shows.update([running(0, **{"model.filters": "[10,20]"})], {})
        shows.say("a [bold] line :smile: " + "that is longer than the terminal is wide " * 3)
    assert "a [bold] line :smile: that" in terminal.text()
    assert "a [bold]" not in "\n".join(terminal.screen())
    assert "filters=[10,20]" in terminal.row(0)


def test_a_burst_of_events_is_drawn_once_and_its_end_always(size):
    terminal, clock = Terminal(), Clock(stopped=True)
    with display(terminal, now=clock) as shows:
        for epoch in range(100):
            shows.update([running(0)], {0: progress(epoch=epoch)})
        assert terminal.text().count("RUNNING") == 1
        clock.seconds += 1
        shows.update([running(0)], {0: progress(epoch=100)})
        assert terminal.text().count("RUNNING") == 2
        shows.update([ended(0)], {})
    assert "FINISHED" in terminal.row(0)


def test_a_sweep_that_breaks_off_leaves_the_terminal_as_it_was(size):
    terminal, hide, unhide = Terminal(), "\x1b[?25l", "\x1b[?25h"

    def interrupted():
        with display(terminal) as shows:
            shows.update([running(0)], {})
            assert terminal.getvalue().rfind(hide) > terminal.getvalue().rfind(unhide)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.getvalue().rfind(unhide) > terminal.getvalue().rfind(hide)


def test_elsewhere_each_trial_has_a_line_when_it_begins_and_one_when_it_ends(size):
    stages = [
        [ended(0), running(1), waiting(2), waiting(3), waiting(4)],
        [ended(0), running(1), running(2), waiting(3), waiting(4)],
        [ended(0), ended(1, 0.98333, 12.12), running(2), running(3), waiting(4)],
        [ended(0), ended(1), ended(2, 0.4, 31.0, State.PRUNED), ended(3, state=State.FAILED), running(4)],
        [ended(0), ended(1), ended(2), ended(3, state=State.FAILED), waiting(4)],
    ]
    stages = [[replace(t, error="Loss is NaN.") if t.state is State.FAILED else t for t in s] for s in stages]
    stages[3][2] = replace(stages[3][2], epoch=3)
    stages[4][2] = stages[3][2]
    stages[4][4] = replace(stages[4][4], epoch=5)
    file = io.StringIO()
    with display(file) as shows:
        shows.say("5 trials")
        for stage in stages:
            for _ in range(3):
                shows.update(stage, {})
    assert file.getvalue().splitlines() == [
        "5 trials",
        "trial 1    RUNNING   learning_rate=0.01 seed=1",
        "trial 2    RUNNING   learning_rate=0.01 seed=2",
        "trial 1    FINISHED  learning_rate=0.01 seed=1  val_accuracy 0.9833  12.1 s  (2/12 done)",
        "trial 3    RUNNING   learning_rate=0.01 seed=3",
        "trial 2    PRUNED    learning_rate=0.01 seed=2  val_accuracy 0.4000  after epoch 3/10  31.0 s  (3/12 done)",
        "trial 3    FAILED    learning_rate=0.01 seed=3: Loss is NaN.",
        "trial 4    RUNNING   learning_rate=0.01 seed=4",
        "trial 4    WAITING   learning_rate=0.01 seed=4  stopped after epoch 5/10",
    ]


def test_a_trial_that_is_resumed_or_tried_again_begins_again(size):
    file = io.StringIO()
    with display(file) as shows:
        for trial in (ended(0, state=State.FAILED), running(0), ended(0)):
            shows.update([trial], {})
    lines = file.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["RUNNING", "FINISHED"]
    assert lines[1].endswith("(1/12 done)")  # no longer among the failed ones


def test_what_ends_is_shown_before_what_takes_its_place(size):
    file = io.StringIO()
    with display(file) as shows:
        shows.update([waiting(0), running(1)], {})
        shows.update([running(0), ended(1)], {})
    assert [line.split()[1:3] for line in file.getvalue().splitlines()[1:]] == [["1", "FINISHED"], ["0", "RUNNING"]]


def test_several_objectives_are_all_in_the_line(size):
    file = io.StringIO()
    with display(file, objectives=(ACCURACY, SIZE)) as shows:
        shows.update([], {})
        shows.update([replace(ended(0), values=(0.9, 21840.0)), ended(1, state=State.PRUNED)], {})
    finished, pruned = file.getvalue().splitlines()
    assert "val_accuracy 0.9000  parameters 21,840  1 min 40 s" in finished
    assert "val_accuracy 0.9000  after epoch" in pruned


def test_a_log_file_has_each_line_at_once_and_no_escape_sequences(size, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as CI services set it
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="utf-8", write_through=False)
    with display(file) as shows:
        shows.update([running(0)], {})
        assert raw.getvalue().decode().split() == ["trial", "0", "RUNNING", "learning_rate=0.01", "seed=0"]
        shows.say("said")
        assert raw.getvalue().endswith(b"said\n")
    assert b"\x1b" not in raw.getvalue()


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(size, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    terminal = shown([running(0)])
    assert terminal.getvalue() == "trial 0    RUNNING   learning_rate=0.01 seed=0\n"


def test_of_equal_ones_the_first_is_best_and_not_a_number_never(size):
    trials = [ended(0, float("nan")), ended(1, 0.5), ended(2, 0.5)]
    terminal = shown(trials)
    assert ["★" in terminal.row(n) for n in range(3)] == [False, True, False]


@pytest.mark.parametrize("slope", [1, 0, -1])
def test_2000_trials_cost_no_comparison_of_all_with_all_and_none_if_nothing_ends(size, slope):
    """Whichever way their values go: rising ones are those of a search that learns."""

    @dataclass(frozen=True)
    class Counting(Objective):
        calls = 0

        def better(self, value, other):
            type(self).calls += 1
            return super().better(value, other)

    trials = [ended(number, slope * number / 2000) for number in range(2000)]
    with display(io.StringIO(), objectives=(Counting("val_accuracy", maximize=True),), total=2000) as shows:
        shows.update(trials, {})
        assert Counting.calls < 5 * 2000
        before = Counting.calls
        shows.update(trials, {})
        assert Counting.calls == before


def test_progress_is_the_share_of_epochs():
    assert TrialProgress(1, 4, None, 0.0).fraction == 0.25
    assert TrialProgress(5, 4, None, 0.0).fraction == 1.0
    assert TrialProgress(0, 0, None, 0.0).fraction == 0.0
