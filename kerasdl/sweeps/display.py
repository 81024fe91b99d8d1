"""What the terminal shows while a sweep's trials run in processes of their own.

On a terminal it is a table that is drawn anew in place: the running trials, those that ended last and the best one,
never more than fit. Elsewhere (a log file, a pipe) it is a line when a trial begins and one when it ends. The final
words of a sweep, and how its trials are run, are left to others.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table, box
from rich.text import Text

from kerasdl.console import duration
from kerasdl.sweeps.standing import Standing
from kerasdl.sweeps.trials import Objective, State, Trial, figure, label

_STYLES = {
    State.WAITING: "dim",
    State.RUNNING: "cyan",
    State.FINISHED: "green",
    State.PRUNED: "yellow",
    State.FAILED: "red",
}
_ONE_LINE: Any = {"no_wrap": True, "overflow": "ellipsis"}
_REDRAW_SECONDS = 0.1  # events may come in bursts, and nobody reads faster
_TIME_WIDTH = 100  # columns from which there is room for the time, ...
_BAR_WIDTH = 120  # ... and for a bar


@dataclass(frozen=True)
class Progress:
    """How far a trial is that runs on this machine.

    Attributes:
        epoch: epochs that are done.
        epochs: epochs in all.
        metric: the first objective's latest value; None before the first evaluation.
        seconds: how long it has been at work, over all its attempts.
        step: training steps that are done.
        steps: training steps in all; 0 if not yet known.
    """

    epoch: int
    epochs: int
    metric: float | None
    seconds: float
    step: int = 0
    steps: int = 0

    @property
    def fraction(self) -> float:
        """How much of the trial is done, in [0, 1]."""
        done, total = (self.step, self.steps) if self.steps else (self.epoch, self.epochs)
        return min(1.0, done / total) if total else 0.0


class Display:
    """Shows a sweep; used as a context manager, within which it is updated.

    Args:
        name: the sweep's name.
        objectives: what the sweep looks for; the table shows the first.
        total: trials of the whole sweep, ended and not begun ones included.
        epochs: epochs of a trial, unless its overrides have `trainer.epochs`.
        jobs: trials that this machine runs at a time, >= 1; for the time left.
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
        self._standing = Standing(objectives)
        self._progress: Mapping[int, Progress] = {}
        self._console = Console(file=self._file, highlight=False)
        self._live = Live(get_renderable=self._render, console=self._console, auto_refresh=False)
        # FORCE_COLOR makes rich take a log file for a terminal: then, too, a table drawn in place would garble it.
        terminal = self._file.isatty() and self._console.is_terminal and not self._console.is_dumb_terminal
        self._redraws = terminal and not self._console.options.ascii_only

    def __enter__(self) -> "Display":
        if self._redraws:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._redraws:
            self._live.stop()  # draws what stands at the end, and leaves it there

    def update(self, trials: Sequence[Trial], running: Mapping[int, Progress]) -> None:
        """Shows where the trials stand: after every event, and about once a second.

        Trials that have ended at the first call ended before this sweep began: they are counted and not announced.

        Args:
            trials: all trials of the study.
            running: number to progress of the trials that run on this machine.
        """
        self._progress = running
        for trial in self._standing.changes(trials):
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
        # The table shows it all, except for errors, which nobody should have to look for once their row is gone.
        if not self._redraws or trial.state is State.FAILED:
            self._print(f"trial {trial.number:<4} {trial.state:<8}  {self._news(trial)}", _STYLES[trial.state])

    def _news(self, trial: Trial) -> str:
        words = label(trial.overrides)
        if trial.state is State.RUNNING:
            return words
        if trial.state is State.FAILED:
            error = trial.error or "no error was recorded"
            return f"{words}: {error}" if words else error
        if trial.state is State.WAITING:
            return f"{words}  stopped after epoch {self._epoch(trial)}"
        values = zip(self._objectives, trial.values or (), strict=False)  # a pruned one may have but the first
        metrics = [f"{objective.metric} {figure(value)}" for objective, value in values]
        epoch = [f"after epoch {self._epoch(trial)}"] if trial.state is State.PRUNED else []
        return "  ".join([words, *metrics, *epoch, _took(trial.seconds), f"({self._standing.done}/{self._total} done)"])

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
        around = 5 + len(summary)  # name, header, its rule, what isn't shown, and the cursor's line
        numbers = self._standing.shown(max(1, height - around))
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
        table.add_column("overrides")  # the one that gives way where the terminal is narrow
        table.add_column("epoch", justify="right", no_wrap=True)
        if barred:
            table.add_column("", width=12, no_wrap=True)
        table.add_column(self._objectives[0].metric, justify="right", no_wrap=True, max_width=20)
        if timed:
            table.add_column("time", justify="right", no_wrap=True)
        for trial in map(self._standing.trial, numbers):
            table.add_row(*self._row(trial, timed, barred))
        return table

    def _row(self, trial: Trial, timed: bool, barred: bool) -> Iterator[Text | ProgressBar]:
        value, style = self._metric(trial), _STYLES[trial.state]
        starred = trial.number in self._standing.best_numbers
        yield Text(str(trial.number))
        yield Text(trial.state, style)
        yield Text(label(trial.overrides), "bold" if starred else "", **_ONE_LINE)
        yield Text(self._epoch(trial))
        if barred:
            progress = self._progress.get(trial.number) if trial.state is State.RUNNING else None
            yield Text() if progress is None else ProgressBar(1.0, progress.fraction, width=12, complete_style=style)
        metric = "" if value is None else figure(value)
        yield Text.assemble((metric, "bold" if starred else ""), (" ★" if starred else "  ", "yellow"))
        if timed:
            yield Text(duration(self._seconds(trial)))

    def _rest(self, numbers: Sequence[int]) -> Text:
        """Returns how many trials the table has no row for; a running one only where the terminal is very low."""
        running = sum(number in self._standing.running for number in numbers)
        hidden = {
            "more running": len(self._standing.running) - running,
            "more done": self._standing.done - (len(numbers) - running),
            "waiting": self._waiting(),
        }
        words = ", ".join(f"{count} {what}" for what, count in hidden.items() if count > 0)
        return Text(f"… {words}" if words else "", "dim", **_ONE_LINE)

    def _summary(self, width: int) -> list[Text]:
        """Returns where the sweep stands, in one line where that fits, else in two."""
        count = self._standing.counts
        causes = ", ".join(f"{count[s]} {s.lower()}" for s in (State.PRUNED, State.FAILED) if count[s])
        done = f"{self._standing.done}/{self._total} done{f' ({causes})' if causes else ''}"
        left = self._seconds_left()
        standing = f"{done}, {count[State.RUNNING]} running"
        time_left = f"{duration(left)} left" if left >= 1 else ""
        one = "   ".join(filter(None, [standing, self._best(), time_left]))
        if cell_len(one) <= width:
            return [Text(one)]
        lines = ["   ".join(filter(None, [standing, time_left])), self._best()]
        return [Text(line, **_ONE_LINE) for line in lines if line]

    def _best(self) -> str:
        leaders = self._standing.best
        if len(self._objectives) > 1 or not leaders:
            return f"{len(leaders)} on the Pareto front" if leaders else ""
        [trial] = leaders
        assert trial.values
        words = label(trial.overrides)
        number = f"trial {trial.number}: {words}" if words else f"trial {trial.number}"
        return f"best {self._objectives[0].metric} {figure(trial.values[0])} ({number})"

    def _waiting(self) -> int:
        return max(0, self._total - self._standing.done - len(self._standing.running))

    def _seconds_left(self) -> float:
        """Returns an estimate from the trials that this sweep saw end; 0.0 while there is none."""
        mean = self._standing.mean_seconds
        rest = [max(0.0, mean - self._seconds(self._standing.trial(number))) for number in self._standing.running]
        waiting = self._waiting()
        longest = mean if waiting else max(rest, default=0.0)  # at the end jobs idle: more of them don't help
        return max(longest, (sum(rest) + waiting * mean) / max(self._jobs, len(rest)))


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
