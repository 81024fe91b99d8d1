"""How well each class is recognised: precision, recall, F1 and support by scikit-learn, as a table and as CSV.

The counting of which class is taken for which other is a picture of its own, `kerasdl.analysis.confusion`.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from rich.text import Text
from sklearn import metrics


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


def class_scores(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> list[ClassScores]:
    """Returns the scores of each class, in the order of the labels.

    Args:
        labels: int [n], the true classes.
        predicted: int [n], what the network took them for.
        class_names: one name a class.
    """
    columns = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=0
    )
    return [
        ClassScores(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(class_names, *columns, strict=True)
    ]


def macro_averages(scores: Sequence[ClassScores]) -> dict[str, float]:
    """Returns `precision`, `recall` and `f1`, each a mean over all classes, however many examples they have."""
    return {name: float(np.mean([getattr(each, name) for each in scores])) for name in ("precision", "recall", "f1")}


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


def table(scores: Sequence[ClassScores]) -> Table:
    """Returns the scores as a table for the terminal, in per cent, with the means over the classes below."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="", pad_edge=False)
    shown.add_column("class")
    for name in ("precision", "recall", "F1", "support"):
        shown.add_column(name, justify="right")
    for each in scores:
        shown.add_row(Text(each.name), *map(_per_cent, (each.precision, each.recall, each.f1)), f"{each.support:,}")
    means = macro_averages(scores)
    shown.add_row("mean", *map(_per_cent, means.values()), f"{sum(each.support for each in scores):,}")
    return shown


def _per_cent(share: float) -> str:
    return f"{100 * share:.2f} %"
