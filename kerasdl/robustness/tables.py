"""Robustness as tables on a terminal or in a text file; pictures are drawn by `pictures`."""

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasdl.robustness.scores import LABELS, AttackScore, Robustness, Score


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


def described(attack: AttackScore) -> str:
    """Returns an attack's name and effort: `PGD, 20 steps, 2 restarts`; FGSM has no more than one step."""
    if attack.attack == "fgsm":
        return LABELS["fgsm"]
    restarts = "1 restart" if attack.restarts == 1 else f"{attack.restarts} restarts"
    return f"{LABELS[attack.attack]}, {attack.steps} steps, {restarts}"


def _attack_table(found: Robustness, norm: str) -> Table:
    """Returns a row a budget and a column an attack: so it fits into a terminal of 80 columns."""
    by_attack: dict[str, dict[float, AttackScore]] = {}
    for own in found.attacks:
        if own.norm == norm:
            by_attack.setdefault(described(own), {})[own.epsilon] = own
    table = _table([f"{LABELS[norm]} budget", *by_attack])
    for epsilon in found.epsilons(norm):
        table.add_row(f"{epsilon:g}", *(_with_interval(scores[epsilon].score) for scores in by_attack.values()))
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
