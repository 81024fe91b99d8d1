"""The verification as a table: on a terminal, as plain text, Markdown and CSV, and as metrics.

All say the same but for CSV, which has every digit and more columns, for the program that reads it.
"""

import csv
import io
import itertools
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from kerasdl.export.making import Outcome
from kerasdl.export.verification import BATCH_SIZE, Check

_LABELS = ("same labels", "accuracy")
# Short, so that the table fits 80 columns; `legend` is below it.
HEADER = ("format", "size", "difference", *_LABELS, "ms at 1", f"ms at {BATCH_SIZE}")
_MARKDOWN_HEADER = (
    "format", "size", "largest difference", *_LABELS, "ms/example, batch 1", f"ms/example, batch {BATCH_SIZE}",
)  # fmt: skip
_CSV_HEADER = (
    "format", "path", "kept", "size_bytes", "max_difference", "label_agreement", "accuracy", "keras_accuracy", "split",
    "images", "seconds_per_image_batch_1", f"seconds_per_image_batch_{BATCH_SIZE}", "tolerated_difference",
    "tolerated_disagreement", "tolerated_accuracy_loss", "problem",
)  # fmt: skip


def show(outcomes: Sequence[Outcome], console: Console) -> None:
    """Prints the table and its legend, in the width of the console."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    header, *rows = _grid(HEADER, outcomes)
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for line in legend(outcomes):
        console.print(line)


def legend(outcomes: Sequence[Outcome]) -> list[str]:
    """Returns the lines below the table: what its columns are, and which formats were skipped."""
    what = "any probability" if _has_labels(outcomes) else "any output"
    unit = "" if _has_labels(outcomes) else ", as a share of its range"
    lines = [
        f"difference: the largest of {what} from Keras's{unit}",
        f"ms: median per example in batches of 1 and {BATCH_SIZE}",
    ]
    return lines + [f"{outcome.format.name} skipped: {outcome.skipped}" for outcome in outcomes if outcome.skipped]


def text(outcomes: Sequence[Outcome]) -> str:
    """Returns the table as plain text, as wide as it is."""
    rows = _grid(HEADER, outcomes)
    width = max(*map(len, legend(outcomes)), sum(max(map(len, column)) + 4 for column in zip(*rows, strict=True)))
    file = io.StringIO()
    show(outcomes, Console(file=file, width=width, color_system=None))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Returns the table in Markdown."""
    header, *rows = _grid(_MARKDOWN_HEADER, outcomes)
    return _markdown(header, rows)


def tolerances(outcomes: Sequence[Outcome]) -> str:
    """Returns what was tolerated, and why, as a table in Markdown."""
    limits = [(outcome.format.name, outcome.tolerance) for outcome in outcomes if not outcome.skipped]
    if not _has_labels(outcomes):
        values = [(name, f"{of.value_difference:g}", of.reason) for name, of in limits]
        return _markdown(("format", "difference", "because of"), values)
    rows = [
        (name, f"{of.difference:g}", f"{100 * of.disagreement:g} %", f"{100 * of.accuracy_loss:g} points", of.reason)
        for name, of in limits
    ]
    return _markdown(("format", "difference", "other labels", "accuracy lost", "because of"), rows)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---" if name in ("format", "because of") else "--:" for name in header]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def csv_text(outcomes: Sequence[Outcome], check: Check) -> str:
    """Returns the table as CSV: a line for each format, kept or not, numbers with all of their digits, "" for none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_CSV_HEADER)
    for outcome in outcomes:
        of, limits = outcome.measured, outcome.tolerance
        quality = (of.size, of.max_difference, of.agreement, of.accuracy) if of else ("",) * 4
        times = (of.seconds_1, of.seconds_64) if of else ("",) * 2
        kept = str(outcome.is_kept).lower()
        tolerated: tuple[float | str, ...] = (limits.difference, limits.disagreement, limits.accuracy_loss)
        if check.labels is None:
            tolerated = (limits.value_difference, "", "")
        writer.writerow(
            (outcome.format.name, outcome.format.path, kept, *quality, check.accuracy, check.split, check.size,
             *times, *tolerated, outcome.problem or outcome.skipped)
        )  # fmt: skip
    return file.getvalue()


def metrics(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Returns what is logged of the files that are kept: `export/litert_accuracy`, ..."""
    kept = [(outcome.format.name, outcome.measured) for outcome in outcomes if outcome.measured and outcome.is_kept]
    found: dict[str, float] = {}
    for name, of in kept:
        if of.accuracy is not None:
            found[f"export/{name}_accuracy"] = of.accuracy
        found[f"export/{name}_size_bytes"] = float(of.size)
        found[f"export/{name}_max_difference"] = of.max_difference
    return found


def size_text(size: int) -> str:
    """Returns bytes as `812 B`, `92 kB` or `4.1 MB`."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:,.0f} kB" if size < 1_000_000 else f"{size / 1e6:,.1f} MB"


def _has_labels(outcomes: Sequence[Outcome]) -> bool:
    """Returns whether the model gives a label; if no file could be measured, that is assumed, as all columns are."""
    measured = [outcome.measured for outcome in outcomes if outcome.measured]
    return not measured or measured[0].agreement is not None


def _grid(header: Sequence[str], outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Returns header and rows, without the columns on labels if the model gives none."""
    shown = [_has_labels(outcomes) or name not in _LABELS for name in header]
    return [tuple(itertools.compress(row, shown)) for row in (header, *map(_cells, outcomes))]


def _cells(outcome: Outcome) -> tuple[str, ...]:
    note = " (not kept)" if outcome.problem else " (skipped)" if outcome.skipped else ""
    of, name = outcome.measured, outcome.format.name + note
    if of is None:
        return (name, *["-"] * (len(HEADER) - 1))
    return (
        name,
        size_text(of.size),
        f"{of.max_difference:.2g}",
        "-" if of.agreement is None else f"{100 * of.agreement:.2f} %",
        "-" if of.accuracy is None else f"{100 * of.accuracy:.2f} %",
        f"{1000 * of.seconds_1:.3f}",
        f"{1000 * of.seconds_64:.3f}",
    )
