"""Evaluation of a network that gives a label: classes, calibration, and the most confident mistakes.

Only a few numbers of each example are kept, so that memory doesn't depend on the number of classes.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from kerasdl import measures
from kerasdl.console import row
from kerasdl.data.features import Features
from kerasdl.evaluate import classes, finite
from kerasdl.evaluate.calibration import Calibration, brier_scores, calibration, reliability_diagram
from kerasdl.evaluate.mistakes import MostConfidentMistakes, contact_sheet
from kerasdl.figures.confusion import confusion_matrix
from kerasdl.training.task import Evaluated, Sums

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasdl.training.task import Task

TOP = (1, 3, 5)
_SHOWN = ("loss", "accuracy")
_MOST_CLASSES_IN_TABLE = 20
_WORST_CLASSES = 3
_MEANS = {"precision": "precision", "recall": "recall", "F1": "f1"}


@dataclass(frozen=True)
class Examples:
    """The network's answer to each example of a split, in the order of the source's split.

    Probabilities are the float64 softmax of the network's float32 logits.

    Attributes:
        indices: int64 [n], the index of the example in the source's split.
        labels: int64 [n], its true class.
        predicted: int64 [n], the class of the highest logit.
        confidences: float64 [n], the probability of that class, in [0, 1].
        ranks: int64 [n], how many classes have a higher logit than the true one, see `kerasdl.measures.ranks`.
        losses: float64 [n], negative log-likelihood of the true class, in nats.
        brier_scores: float64 [n], see `kerasdl.evaluate.calibration.brier_scores`.
    """

    indices: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    confidences: np.ndarray
    ranks: np.ndarray
    losses: np.ndarray
    brier_scores: np.ndarray

    @cached_property
    def correct(self) -> np.ndarray:
        """bool [n]: whether the prediction is right."""
        return self.predicted == self.labels


@dataclass(frozen=True)
class ClassEvaluation:
    """The results of a network on a split; see `kerasdl.evaluate.measuring.Evaluation`.

    Attributes:
        results: the task's own metrics, `loss` among them, as training logs them at its end.
        examples: its answer to each example.
        mistakes: its most confident mistakes.
        class_names: one name a class.
        has_images: whether mistakes can be shown.
    """

    results: dict[str, float]
    examples: Examples
    mistakes: MostConfidentMistakes
    class_names: tuple[str, ...]
    has_images: bool = True

    @cached_property
    def scores(self) -> list[classes.ClassScores]:
        """Precision, recall, F1 and support of each class."""
        return classes.class_scores(self.confusion, self.class_names)

    @cached_property
    def confusion(self) -> np.ndarray:
        """int64 (classes, classes): how many examples of each class (rows) were taken for each class (columns)."""
        examples, count = self.examples, len(self.class_names)
        return measures.confusion(examples.labels, examples.predicted, count, np.int64).numpy()

    @cached_property
    def calibration(self) -> Calibration:
        """Confidence against accuracy, in bins."""
        return calibration(self.examples.confidences, self.examples.correct)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """All metrics by name; where the run's own task measures the same quantity, its value is taken."""
        examples, size = self.examples, len(self.examples.labels)
        return {
            "loss": self.results["loss"],
            "accuracy": float(np.count_nonzero(examples.correct)) / size,
            **{
                f"top_{k}_accuracy": float(np.count_nonzero(examples.ranks < k)) / size
                for k in TOP
                if k <= len(self.class_names)
            },
            **measures.macro_averages(self.confusion),
            "nll": float(examples.losses.mean()),
            "brier_score": float(examples.brier_scores.mean()),
            "ece": self.calibration.expected_error,
            "mce": self.calibration.maximum_error,
            **self.results,
        }

    def headline(self) -> str:
        size, metrics = len(self.examples.labels), self.metrics
        further = [f"{name} {value:.4f}" for name, value in self.results.items() if name not in _SHOWN]
        hits = f"{size - self.mistakes.total:,}".replace(",", " ")
        accuracy = f"accuracy {hits}/{size} ({_per_cent(metrics['accuracy'])})"
        return ", ".join((f"loss {metrics['loss']:.4f}", accuracy, *further))

    def show(self) -> None:
        from rich.console import Console
        from rich.padding import Padding

        metrics, mistakes = self.metrics, self.mistakes
        tops = (k for k in TOP if k <= len(self.class_names))
        row("top k", ", ".join(f"{k}: {_per_cent(metrics[f'top_{k}_accuracy'])}" for k in tops))
        means = (f"{name} {_per_cent(metrics[key])}" for name, key in _MEANS.items())
        row("classes", f"{', '.join(means)} (means over {len(self.class_names):,} classes)")
        row(
            "confidence",
            f"{_per_cent(self.calibration.mean_confidence)} on average, calibration error {_per_cent(metrics['ece'])} "
            f"(ECE), at most {_per_cent(metrics['mce'])} (MCE); NLL {metrics['nll']:.4f}, Brier score "
            f"{metrics['brier_score']:.4f}",
        )
        lowest = classes.worst(self.scores, _WORST_CLASSES)
        row("worst", ", ".join(f"{each.name} (F1 {_per_cent(each.f1)})" for each in lowest))
        if mistakes.found:
            first = mistakes.found[0]
            predicted, true = (self.class_names[label] for label in (first.predicted, first.label))
            example = f"{predicted} for {true}, with {_per_cent(first.confidence)} (example {first.index})"
            row("mistakes", f"{mistakes.total:,}; the most confident: {example}")
        else:
            row("mistakes", "none, so there is no mistakes.png" if self.has_images else "none")
        if len(self.scores) <= _MOST_CLASSES_IN_TABLE:
            table = Padding(classes.table(self.scores, metrics), (0, 0, 0, 11), expand=False)
            Console(highlight=False).print("", table, "", sep="\n")

    def files(self) -> "dict[str, str | Figure]":
        files: dict[str, str | Figure] = {
            "classes.csv": classes.csv_text(self.scores),
            "predictions.csv": predictions_csv(self.examples, self.class_names),
            "confusion_matrix.png": confusion_matrix(self.confusion, self.class_names),
            "reliability.png": reliability_diagram(self.calibration),
        }
        if self.mistakes.found and self.has_images:
            files["mistakes.png"] = contact_sheet(self.mistakes.found, self.mistakes.total, self.class_names)
        return files


class ClassCollector:
    """Collects a few numbers of each example, and the most confident mistakes; see `measuring.Collector`.

    Args:
        features: of the data: a label among its targets; the sheet of mistakes needs an image among its inputs.
        class_names: one name a class.
    """

    def __init__(self, features: Features, class_names: tuple[str, ...]):
        self._label = next(name for name, feature in features.targets.items() if feature.kind == "label")
        self._image = next((name for name, feature in features.inputs.items() if feature.kind == "image"), None)
        self._class_names = class_names
        self._mistakes = MostConfidentMistakes()
        self._parts: list[Examples] = []

    def add(self, evaluated: Evaluated, indices: np.ndarray, split: str) -> None:
        part = _examples(evaluated.batch[self._label], evaluated.outputs["logits"], indices, split)
        images = evaluated.batch[self._image] if self._image else None
        self._mistakes.add(images, part.indices, part.labels, part.predicted, part.confidences)
        self._parts.append(part)

    def evaluation(self, task: "Task", sums: Sums) -> ClassEvaluation:
        names = Examples.__annotations__
        columns = {name: np.concatenate([getattr(part, name) for part in self._parts]) for name in names}
        order = np.argsort(columns["indices"], kind="stable")  # that of the training split is shuffled
        examples = Examples(**{name: column[order] for name, column in columns.items()})
        has_images = self._image is not None
        return ClassEvaluation(task.results(sums), examples, self._mistakes, self._class_names, has_images)


def predictions_csv(examples: Examples, class_names: Sequence[str]) -> str:
    """Returns each example's index, true label, predicted class and that one's probability as CSV with a header."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["index", "label", "class", "probability"])
    columns = examples.indices, examples.labels, examples.predicted, examples.confidences
    for index, label, predicted, confidence in zip(*(column.tolist() for column in columns), strict=True):
        writer.writerow([index, class_names[label], class_names[predicted], f"{confidence:.9g}"])
    return file.getvalue()


def _examples(labels: np.ndarray, given: np.ndarray, indices: np.ndarray, split: str) -> Examples:
    """Returns what is kept of a batch: its labels (b,), the logits given, float32 (b, classes), and its indices."""
    finite.check(given, "logits", indices, split)
    log_probabilities = log_softmax(given.astype(np.float64), axis=1)
    probabilities, predicted = np.exp(log_probabilities), measures.predictions(given).numpy()
    rows = np.arange(len(labels))
    return Examples(
        indices=np.asarray(indices, np.int64),
        labels=labels,
        predicted=predicted,
        confidences=np.minimum(probabilities[rows, predicted], 1.0),
        ranks=measures.ranks(labels, given).numpy().astype(np.int64),
        losses=-log_probabilities[rows, labels],
        brier_scores=brier_scores(probabilities, labels),
    )


def _per_cent(share: float) -> str:
    return f"{100 * share:.2f} %"
