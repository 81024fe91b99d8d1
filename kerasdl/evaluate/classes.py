"""How well each class is recognised: precision, recall, F1 and support, as a table and as CSV.

They are computed in `kerasdl.measures`. Which class is taken for which other is a picture of its own,
`kerasdl.figures.confusion`.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from rich.text import Text

from kerasdl.measures import per_class


@dataclass(frozen=True)
class ClassScores:
    """One class.

    Attributes:
        name: its name.
        precision: share of right ones among the examples that were taken for this class, in [0, 1]; 0 if none was.
        recall: share of this class's examples that were recognised, in [0, 1]; 0 if it has none.
        f1: harmonic mean of the two, in [0, 1].
        support: number of its examples.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def class_scores(counts: np.ndarray, class_names: Sequence[str]) -> list[ClassScores]:
    """Returns the scores of each class, in the order of the labels.

    Args:
        counts: int (classes, classes), from `kerasdl.measures.confusion`.
        class_names: one name a class.
    """
    columns = *per_class(counts), counts.sum(axis=1)
    return [
        ClassScores(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(class_names, *columns, strict=True)
    ]


def worst(scores: Sequence[ClassScores], count: int) -> list[ClassScores]:
    """Returns the `count` classes of the lowest F1, the lowest first, of those that have examples."""
    return sorted((each for each in scores if each.support), key=lambda each: each.f1)[:count]


def csv_text(scores: Sequence[ClassScores]) -> str:
    """Returns the scores as CSV with a header, a row a class, every digit kept."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["class", "precision", "recall", "f1", "support"])
    for each in scores:
        writer.writerow([each.name, repr(each.precision), repr(each.recall), repr(each.f1), each.support])
    return file.getvalue()


def table(scores: Sequence[ClassScores], means: Mapping[str, float]) -> Table:
    """Returns the scores as a table for the terminal, in per cent.

    Args:
        scores: of the classes.
        means: `precision`, `recall` and `f1` over all classes, for the last row.
    """
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="", pad_edge=False)
    shown.add_column("class")
    for name in ("precision", "recall", "F1", "support"):
        shown.add_column(name, justify="right")
    for each in scores:
        shown.add_row(Text(each.name), *map(_per_cent, (each.precision, each.recall, each.f1)), f"{each.support:,}")
    averages = (means[name] for name in ("precision", "recall", "f1"))
    shown.add_row("mean", *map(_per_cent, averages), f"{sum(each.support for each in scores):,}")
    return shown


def _per_cent(share: float) -> str:
    return f"{100 * share:.2f} %"
