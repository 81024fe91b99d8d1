"""What the terminal shows while the trials of a sweep run.

A terminal shows a table that is redrawn in place: the running trials, those that ended last and the best one, as many
as fit. Elsewhere (a log file, a pipe) there is a line when a trial begins and one when it ends.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table, box
from rich.text import Text

from kerasdl.console import duration
from kerasdl.sweeps.progress import SweepProgress, TrialProgress
from kerasdl.sweeps.results import values_text
from kerasdl.sweeps.trials import Objective, State, Trial, label, number_text

_STYLES = {
    State.WAITING: "dim",
    State.RUNNING: "cyan",
    State.FINISHED: "green",
    State.PRUNED: "yellow",
    State.FAILED: "red",
}
_ONE_LINE: Any = {"no_wrap": True, "overflow": "ellipsis"}
_REDRAW_SECONDS = 0.1  # events may come in bursts
_TIME_WIDTH = 100  # columns from which there is room for the time, ...
_BAR_WIDTH = 120  # ... and for a bar


class Display:
    """Shows a sweep; a context manager, within which it is updated.

    Args:
        name: the sweep's name.
        objectives: what the sweep optimises; the table shows the first.
        total: trials of the whole sweep, those that have ended and those that haven't begun included.
        epochs: epochs of a trial, unless its overrides have `trainer.epochs`.
        jobs: trials that this machine runs at once, >= 1; for the time left.
        file: where to write; None for standard output.
        now: a clock in seconds that never goes back.
    """

    def __init__(
        self,
        name: str,
        objectives: Sequence[Objective],
        total: int,
        epochs: int,
        jobs: int,
        file: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
    ):
        self._name, self._objectives, self._total, self._epochs, self._jobs = name, objectives, total, epochs, jobs
        self._file = sys.stdout if file is None else file
        self._now = now
        self._began, self._drawn = now(), -math.inf
        self._sweep = SweepProgress(objectives)
        self._progress: Mapping[int, TrialProgress] = {}
        self._console = Console(file=self._file, highlight=False)
        self._live = Live(get_renderable=self._render, console=self._console, auto_refresh=False)
        # FORCE_COLOR makes rich take a log file for a terminal, which a table drawn in place would garble.
        terminal = self._file.isatty() and self._console.is_terminal and not self._console.is_dumb_terminal
        self._redraws = terminal and not self._console.options.ascii_only

    def __enter__(self) -> "Display":
        if self._redraws:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._redraws:
            self._live.stop()  # draws the last state, and leaves it there

    def update(self, trials: Sequence[Trial], running: Mapping[int, TrialProgress]) -> None:
        """Shows the state of the trials; called after every event, and about once a second.

        Trials that have ended at the first call ended before this sweep began: they are counted and not announced.

        Args:
            trials: all trials of the study.
            running: number to progress of the trials that run on this machine.
        """
        self._progress = running
        for trial in self._sweep.update(trials):
            self._announce(trial)
        if self._redraws and self._now() - self._drawn >= _REDRAW_SECONDS:
            self._drawn = self._now()
            self._live.refresh()

    def say(self, line: str) -> None:
        """Prints a line, above the table if there is one."""
        self._print(line, "")

    def _print(self, line: str, style: str) -> None:
        if self._redraws:
            self._console.print(Text(line, style), soft_wrap=True)  # no markup: `filters=[10,20]` stays as it is
        else:
            print(line, file=self._file, flush=True)

    def _announce(self, trial: Trial) -> None:
        # The table shows everything but errors, which must stay visible after their row has gone.
        if not self._redraws or trial.state is State.FAILED:
            self._print(f"trial {trial.number:<4} {trial.state:<8}  {self._announcement(trial)}", _STYLES[trial.state])

    def _announcement(self, trial: Trial) -> str:
        overrides = label(trial.overrides)
        if trial.state is State.RUNNING:
            return overrides
        if trial.state is State.FAILED:
            error = trial.error or "no error was recorded"
            return f"{overrides}: {error}" if overrides else error
        if trial.state is State.WAITING:
            return f"{overrides}  stopped after epoch {self._epoch(trial)}"
        values = [values_text(trial, self._objectives, "  ")] if trial.values else []
        epoch = [f"after epoch {self._epoch(trial)}"] if trial.state is State.PRUNED else []
        ended = f"({self._sweep.ended}/{self._total} done)"
        return "  ".join([overrides, *values, *epoch, _took(trial.seconds), ended])

    def _epoch(self, trial: Trial) -> str:
        progress = self._progress.get(trial.number) if trial.state is State.RUNNING else None
        if progress is not None:
            return f"{progress.epoch}/{progress.epochs}"
        return f"{trial.epoch}/{trial.overrides.get('trainer.epochs', self._epochs)}"

    def _metric(self, trial: Trial) -> float | None:
        if trial.state is not State.RUNNING:
            return trial.values[0] if trial.values else None
        if trial.number in self._progress:
            return self._progress[trial.number].metric
        return trial.reports[max(trial.reports)] if trial.reports else None  # it runs on another machine

    def _seconds(self, trial: Trial) -> float:
        if trial.state is State.RUNNING and trial.number in self._progress:
            return self._progress[trial.number].seconds
        return trial.seconds

    def _render(self) -> Group:
        width, height = self._console.size
        summary = self._summary(width)
        around = 5 + len(summary)  # name, header, its rule, the line of what isn't shown, and the cursor's line
        numbers = self._sweep.most_interesting(max(1, height - around))
        return Group(self._heading(), self._table(numbers, width), self._rest(numbers), *summary)

    def _heading(self) -> Text:
        elapsed = f"   {duration(math.floor(self._now() - self._began))}"
        return Text.assemble(("sweep ", "dim"), (self._name, "bold"), (elapsed, "dim"), **_ONE_LINE)

    def _table(self, numbers: Sequence[int], width: int) -> Table:
        timed, barred = width >= _TIME_WIDTH, width >= _BAR_WIDTH
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold", border_style="dim"
        )
        table.add_column("#", justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("overrides")  # the column that shrinks on a narrow terminal
        table.add_column("epoch", justify="right", no_wrap=True)
        if barred:
            table.add_column("", width=12, no_wrap=True)
        table.add_column(self._objectives[0].metric, justify="right", no_wrap=True, max_width=20)
        if timed:
            table.add_column("time", justify="right", no_wrap=True)
        for trial in map(self._sweep.trial, numbers):
            table.add_row(*self._row(trial, timed, barred))
        return table

    def _row(self, trial: Trial, timed: bool, barred: bool) -> Iterator[Text | ProgressBar]:
        value, style = self._metric(trial), _STYLES[trial.state]
        starred = trial.number in self._sweep.best_numbers
        yield Text(str(trial.number))
        yield Text(trial.state, style)
        yield Text(label(trial.overrides), "bold" if starred else "", **_ONE_LINE)
        yield Text(self._epoch(trial))
        if barred:
            progress = self._progress.get(trial.number) if trial.state is State.RUNNING else None
            yield Text() if progress is None else ProgressBar(1.0, progress.fraction, width=12, complete_style=style)
        metric = "" if value is None else number_text(value)
        yield Text.assemble((metric, "bold" if starred else ""), (" ★" if starred else "  ", "yellow"))
        if timed:
            yield Text(duration(self._seconds(trial)))

    def _rest(self, numbers: Sequence[int]) -> Text:
        """Returns how many trials have no row in the table; running ones only if the terminal is very low."""
        running = sum(number in self._sweep.running for number in numbers)
        hidden = {
            "more running": len(self._sweep.running) - running,
            "more done": self._sweep.ended - (len(numbers) - running),
            "waiting": self._waiting(),
        }
        counts = ", ".join(f"{count} {what}" for what, count in hidden.items() if count > 0)
        return Text(f"… {counts}" if counts else "", "dim", **_ONE_LINE)

    def _summary(self, width: int) -> list[Text]:
        """Returns the progress of the sweep in one line where that fits, else in two."""
        count = self._sweep.counts
        causes = ", ".join(f"{count[s]} {s.lower()}" for s in (State.PRUNED, State.FAILED) if count[s])
        done = f"{self._sweep.ended}/{self._total} done{f' ({causes})' if causes else ''}"
        left = self._seconds_left()
        counts = f"{done}, {count[State.RUNNING]} running"
        time_left = f"{duration(left)} left" if left >= 1 else ""
        one = "   ".join(filter(None, [counts, self._best(), time_left]))
        if cell_len(one) <= width:
            return [Text(one)]
        lines = ["   ".join(filter(None, [counts, time_left])), self._best()]
        return [Text(line, **_ONE_LINE) for line in lines if line]

    def _best(self) -> str:
        leaders = self._sweep.best
        if len(self._objectives) > 1 or not leaders:
            return f"{len(leaders)} on the Pareto front" if leaders else ""
        [trial] = leaders
        assert trial.values
        overrides = label(trial.overrides)
        number = f"trial {trial.number}: {overrides}" if overrides else f"trial {trial.number}"
        return f"best {values_text(trial, self._objectives)} ({number})"

    def _waiting(self) -> int:
        return max(0, self._total - self._sweep.ended - len(self._sweep.running))

    def _seconds_left(self) -> float:
        """Returns an estimate from the trials that have ended since the start; 0.0 while there is none."""
        mean = self._sweep.mean_seconds
        rest = [max(0.0, mean - self._seconds(self._sweep.trial(number))) for number in self._sweep.running]
        waiting = self._waiting()
        longest = (
            mean if waiting else max(rest, default=0.0)
        )  # at the end some jobs are idle, and more of them don't help
        return max(longest, (sum(rest) + waiting * mean) / max(self._jobs, len(rest)))


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
