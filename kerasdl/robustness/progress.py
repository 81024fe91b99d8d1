"""Shows the progress of the measurement: a bar on a terminal, a line for each result elsewhere."""

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from kerasdl import console
from kerasdl.robustness.scores import Score


class Progress:
    """Shows how much of the work is done.

    Args:
        work: how much there is to do, in any unit.
    """

    def __init__(self, work: int):
        terminal = Console(highlight=False)
        self._lines = not terminal.is_terminal
        self._bar = Bar(
            TextColumn("{task.description:<20}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=terminal,
            transient=True,
            disable=self._lines,
        )
        self._task = self._bar.add_task("", total=work)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, what: str) -> None:
        """Names what is being measured."""
        self._bar.update(self._task, description=what)

    def advance(self, work: int) -> None:
        """Adds finished work."""
        self._bar.advance(self._task, work)

    def show(self, what: str, *scores: Score) -> None:
        """Prints accuracies in per cent, where there is no bar."""
        if self._lines:
            console.say(f"{what:<18}" + "".join(f" {100 * score.accuracy:5.1f}" for score in scores) + " %")
