"""The forms of a table of results over seeds: a terminal's, plain text, Markdown, CSV and a picture.

All say the same, rounded alike, but for CSV, which has every digit and full keys for the program that reads it. What
is in the table is decided in `kerasdl.report.seeds`.
"""

import csv
import io
import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from kerasdl.config.keys import short_names
from kerasdl.console import duration
from kerasdl.report.seeds import FEW_SEEDS, Comparison, Row, Summary, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS_IN_PICTURE = 40
_MAX_LABEL = 60  # characters
_SHARES = ("accuracy", "precision", "recall", "f1")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{6,}(e-?\d+)?")
_DOT_COLOR, _MEAN_COLOR = "#3b6ea8", "#d1702f"


@dataclass(frozen=True)
class Report:
    """What is shown.

    Attributes:
        subject: the runs reported on, e.g. "sweep lr".
        table: at least one row.
        notes: further sentences for the reader.
        comparison: of two rows, or None.
    """

    subject: str
    table: Table
    notes: Sequence[str] = ()
    comparison: Comparison | None = None


def show(report: Report, console: Console) -> None:
    """Prints the report on a terminal, in its width."""
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    header, *rows = _cells(report.table)
    for index, name in enumerate(header):
        is_configuration = 0 < index <= len(report.table.keys)
        table.add_column(Text(name), justify="left" if is_configuration else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(Text(_title(report), style="bold"))
    console.print(table)
    for line in _lines_below(report):
        console.print(Text(line))


def text(report: Report) -> str:
    """Returns the report as plain text, as wide as it is."""
    columns = sum(max(map(len, column)) + 4 for column in zip(*_cells(report.table), strict=True))
    lines = max(map(len, [_title(report), *_lines_below(report)]))
    file = io.StringIO()
    show(report, Console(file=file, width=max(columns, lines), color_system=None))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def markdown(report: Report) -> str:
    """Returns the report in (GitHub's) Markdown."""
    header, *rows = [[cell.replace("|", "\\|") for cell in row] for row in _cells(report.table)]
    rule = [":--" if 0 < index <= len(report.table.keys) else "--:" for index in range(len(header))]
    lines = [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]
    below = [line for sentence in _lines_below(report) for line in ("", sentence)]
    return "\n".join([f"**{_title(report)}**", "", *lines, *below, ""])


def csv_text(table: Table) -> str:
    """Returns the table as CSV: a line for each row, full keys, numbers with all of their digits, "" for none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    measured = ("metric", "n", "mean", "std", "ci95_low", "ci95_high", "best", "training_seconds")
    writer.writerow(["row", *table.keys, *measured])
    for row in table.rows:
        of = row.summary
        numbers = (of.mean, of.std, *(of.interval or (None, None)), row.best, row.seconds)
        known = ["" if number is None else repr(number) for number in numbers]
        writer.writerow(
            [row.number, *(row.configuration.get(key, "") for key in table.keys), table.metric, of.n, *known]
        )
    return file.getvalue()


def figure(report: Report) -> "Figure":
    """Draws a dot for each seed, and each row's mean with its interval; of the best `MAX_ROWS_IN_PICTURE` rows."""
    from matplotlib.figure import Figure

    table = report.table
    rows, scale = table.rows[:MAX_ROWS_IN_PICTURE], _Scale.of(table)
    below = _lines_below(report)
    if len(rows) < len(table.rows):
        below.append(f"The best {len(rows)} of {len(table.rows)} rows are drawn.")
    below = [part for line in below for part in textwrap.wrap(line, 130)]
    drawn = Figure(figsize=(10.0, 1.7 + 0.36 * len(rows) + 0.18 * len(below)), dpi=120, layout="constrained")
    axes = drawn.subplots()
    for place, row in enumerate(rows):
        values, mean = [value * scale.factor for value in row.values.values()], row.summary.mean * scale.factor
        axes.plot(values, [place - 0.12] * len(values), "o", color=_DOT_COLOR, alpha=0.5, markersize=5, mew=0)
        ends = [end * scale.factor for end in row.summary.interval or ()]
        axes.plot(ends, [place + 0.15] * len(ends), "-", color=_MEAN_COLOR, linewidth=2)
        axes.plot(mean, place + 0.15, "D", color=_MEAN_COLOR, markersize=5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(*_limits(rows, scale.factor))
    axes.set_yticks(range(len(rows)), [_label(row, table.keys) for row in rows], fontsize=9)
    axes.set_xlabel(table.metric + scale.unit)
    axes.grid(color="0.9", axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.plot([], [], "o", color=_DOT_COLOR, alpha=0.5, markersize=5, mew=0, label="one seed")
    axes.plot([], [], "D-", color=_MEAN_COLOR, linewidth=2, markersize=5, label="mean and its 95 % interval")
    drawn.suptitle(textwrap.fill(_title(report), 60), x=0.01, ha="left", fontsize=11)
    drawn.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    drawn.supxlabel("\n".join(below), x=0.01, ha="left", fontsize=8)
    return drawn


@dataclass(frozen=True)
class _Scale:
    """How the numbers of one table are written: shares as per cent, others with digits that suit the largest."""

    factor: float
    decimals: int
    unit: str

    @classmethod
    def of(cls, table: Table) -> "_Scale":
        values = [abs(value) for row in table.rows for value in row.values.values() if math.isfinite(value)]
        if table.metric.endswith(_SHARES) and all(value <= 1 for value in values):
            return cls(100.0, 2, " in %")
        largest = max(values, default=0.0)
        # Four decimals, as in training's own lines, or as many as leave four significant digits of something small.
        return cls(1.0, 4 if largest == 0 else max(4, 3 - math.floor(math.log10(largest))), "")

    def number(self, value: float, sign: str = "") -> str:
        return f"{value * self.factor:{sign}.{self.decimals}f}"

    def mean(self, of: Summary, sign: str = "") -> str:
        return f"{self.number(of.mean, sign)} ± {'-' if of.std is None else self.number(of.std)}"

    def interval(self, of: Summary, sign: str = "") -> str:
        return "-" if of.interval is None else f"[{', '.join(self.number(end, sign) for end in of.interval)}]"


def _title(report: Report) -> str:
    table = report.table
    better = "higher" if table.maximize else "lower"
    return f"{report.subject}: {table.metric}{_Scale.of(table).unit}, {better} is better"


def _cells(table: Table) -> list[list[str]]:
    """Returns the header and the rows, as text."""
    scale = _Scale.of(table)
    lines = [["#", *short_names(table.keys), "n", "mean ± sd", "95 % interval", "best", "training"]]
    for row in table.rows:
        of = row.summary
        numbers = [str(of.n), scale.mean(of), scale.interval(of), scale.number(row.best)]
        time = "-" if row.seconds is None else duration(row.seconds)
        lines.append([str(row.number), *(_value(row, key) for key in table.keys), *numbers, time])
    return lines


def _lines_below(report: Report) -> list[str]:
    lines = [*report.notes, *report.table.left_out]
    return lines + _comparison_lines(report.comparison, report.table) if report.comparison else lines


def _comparison_lines(comparison: Comparison, table: Table) -> list[str]:
    """Returns a comparison in words."""
    one, other, difference = comparison.one.number, comparison.other.number, comparison.difference
    scale, n = _Scale.of(table), difference.n
    points = " points" if scale.unit else ""
    parts = [f"mean difference {scale.mean(difference, '+')}{points}"]
    if difference.interval:
        parts.append(f"95 % interval {scale.interval(difference, '+')}")
    if comparison.p_value is not None:
        parts.append(f"p = {comparison.p_value:.2g} (paired t-test)")
    parts.append(f"row {one} better for {comparison.better} of {n}")
    if comparison.equal:
        parts.append(f"equal for {comparison.equal}")
    seeds = "the one seed" if n == 1 else f"the {n} seeds"
    lines = [f"Row {one} against row {other} over {seeds} that both have: {', '.join(parts)}."]
    if n < FEW_SEEDS:
        few = f"{n} {'seed is' if n == 1 else 'seeds are'} too few to conclude from"
        lines.append(f"Warning: {few}. Run at least {FEW_SEEDS} of each.")
    return lines


def _value(row: Row, key: str) -> str:
    """Returns the value as it is shown: of a target the last name, of a drawn number six significant digits."""
    value = row.configuration.get(key, "-")
    if key.endswith("_target_"):
        return value.rpartition(".")[2]
    return f"{float(value):.6g}" if _LONG_NUMBER.fullmatch(value) else value


def _label(row: Row, keys: Sequence[str]) -> str:
    names = zip(keys, short_names(keys), strict=True)
    settings = " ".join(f"{name}={_value(row, key)}" for key, name in names if key in row.configuration)
    if len(settings) > _MAX_LABEL:
        settings = f"{settings[: _MAX_LABEL - 4]} ..."
    return f"{settings}  #{row.number}".strip()


def _limits(rows: Sequence[Row], factor: float) -> tuple[float, float]:
    """Returns the range to draw: all values, and of the intervals what doesn't crush them.

    With two seeds an interval is thirteen times as wide as its values; it then runs out of the picture.
    """
    values = [value for row in rows for value in row.values.values() if math.isfinite(value)] or [0.0]
    ends = [end for row in rows for end in row.summary.interval or () if math.isfinite(end)] + values
    low, high = min(values), max(values)
    span = (high - low) or abs(high) * 0.01 or 1.0
    low, high = max(min(ends), low - span), min(max(ends), high + span)
    margin = 0.04 * ((high - low) or span)
    return (low - margin) * factor, (high + margin) * factor
