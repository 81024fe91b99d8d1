"""What a network withstood, as tables on a terminal or in a text file; pictures are in `robustness_pictures`."""

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasdl.analysis.robustness import LABELS, Robustness, Score


def show(found: Robustness, console: Console) -> None:
    """Prints the clean accuracy, a table for each norm, and one of the corruptions."""
    console.print(Text(f"{found.subject}: accuracy in %, with its 95 % interval (Wilson)", style="bold"))
    console.print(Text(f"\nclean {_with_interval(found.clean)}, {found.clean.correct} of {found.clean.examples}"))
    for norm in dict.fromkeys(own.norm for own in found.attacks):
        console.print(_attack_table(found, norm))
    if found.corruptions:
        console.print(_corruption_table(found))
        console.print(Text(f"95 % intervals: {widest(found)}"))


def text(found: Robustness) -> str:
    """Returns the tables as plain text."""
    file = io.StringIO()
    show(found, Console(file=file, width=200, color_system=None))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def widest(found: Robustness) -> str:
    """Returns how wide the interval of a score under corruption is at most: `at most ±3.1 points`."""
    halves = [(own.score.interval[1] - own.score.interval[0]) / 2 for own in found.corruptions]
    return f"at most ±{100 * max(halves):.1f} points"


def _attack_table(found: Robustness, norm: str) -> Table:
    epsilons = found.epsilons(norm)
    table = _table(["attack", "steps", "restarts", *(f"{LABELS[norm]} {epsilon:g}" for epsilon in epsilons)])
    for name in dict.fromkeys(own.attack for own in found.attacks if own.norm == norm):
        rows = {own.epsilon: own for own in found.attacks if (own.attack, own.norm) == (name, norm)}
        any_row = next(iter(rows.values()))
        cells = [_with_interval(rows[epsilon].score) for epsilon in epsilons]
        table.add_row(LABELS[name], str(any_row.steps), str(any_row.restarts), *cells)
    return table


def _corruption_table(found: Robustness) -> Table:
    severities = found.severities
    table = _table(["corruption, severity", *map(str, severities), "mean"])
    for name, average in found.corruption_means.items():
        cells = [f"{100 * own.score.accuracy:.1f}" for own in found.of_corruption(name)]
        table.add_row(name, *cells, f"{100 * average:.1f}")
    table.add_section()
    means = [f"{100 * average:.1f}" for average in found.severity_means.values()]
    table.add_row("mean", *means, f"{100 * found.corruption_mean:.1f}")
    return table


def _table(header: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(header):
        table.add_column(Text(name), justify="right" if number else "left", no_wrap=True)
    return table


def _with_interval(score: Score) -> str:
    low, high = score.interval
    return f"{100 * score.accuracy:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
