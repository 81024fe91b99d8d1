"""Passes over a split once with a trained network: metrics as at the end of training, and numbers of each example.

The pass is that of the evaluation in training (`kerasdl.training.loop.EvaluationLoop`), and its sums are taken as they
are. Only a few numbers of each example are kept, so that memory doesn't depend on the number of classes.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from kerasdl import measures
from kerasdl.errors import UserError
from kerasdl.evaluate import classes
from kerasdl.evaluate.calibration import Calibration, brier_scores, calibration
from kerasdl.evaluate.mistakes import MostConfidentMistakes
from kerasdl.training.loop import EvaluationLoop
from kerasdl.training.task import Evaluated, Sums

if TYPE_CHECKING:
    from kerasdl.data import Split
    from kerasdl.training.task import Task

TOP = (1, 3, 5)


@dataclass(frozen=True)
class Examples:
    """The network's answer to each example of a split, in the order of the TFDS split.

    Probabilities are the float64 softmax of the network's float32 logits.

    Attributes:
        indices: int64 [n], the index of the example in the TFDS split.
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
class Evaluation:
    """The results of a network on a split.

    Attributes:
        results: the task's own metrics, `loss` among them, as training logs them at its end.
        examples: its answer to each example.
        mistakes: its most confident mistakes.
        class_names: one name a class.
    """

    results: dict[str, float]
    examples: Examples
    mistakes: MostConfidentMistakes
    class_names: tuple[str, ...]

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


def predictions_csv(examples: Examples, class_names: Sequence[str]) -> str:
    """Returns each example's index, true label, predicted class and that one's probability as CSV with a header."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["index", "label", "class", "probability"])
    columns = examples.indices, examples.labels, examples.predicted, examples.confidences
    for index, label, predicted, confidence in zip(*(column.tolist() for column in columns), strict=True):
        writer.writerow([index, class_names[label], class_names[predicted], f"{confidence:.9g}"])
    return file.getvalue()


def evaluate(
    task: "Task",
    split: "Split",
    class_names: tuple[str, ...],
    jit: bool = False,
    advance: Callable[[int], None] = lambda examples: None,
) -> Evaluation:
    """Passes over a split once.

    Args:
        task: of a trained network (`Trained.task`), or one in training.
        split: the examples.
        class_names: one name a class.
        jit: compile the step with XLA, as in training.
        advance: called with the number of examples of each batch that is done.

    Raises:
        UserError: the network gives a logit that isn't finite.
    """
    mistakes, parts = MostConfidentMistakes(), []
    sums: Sums = {}
    for step, evaluated in enumerate(EvaluationLoop(task, split, jit).batches()):
        sums, part = evaluated.sums, _examples(evaluated, split.indices(0, step), split.name)
        mistakes.add(evaluated.batch["image"], part.indices, part.labels, part.predicted, part.confidences)
        parts.append(part)
        advance(len(part.labels))
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Examples.__annotations__}
    order = np.argsort(columns["indices"], kind="stable")  # that of the training split is shuffled
    examples = Examples(**{name: column[order] for name, column in columns.items()})
    return Evaluation(task.results(sums), examples, mistakes, class_names)


def _examples(evaluated: Evaluated, indices: np.ndarray, split: str) -> Examples:
    labels, logits = evaluated.batch["label"], evaluated.outputs["logits"].astype(np.float64)
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        raise UserError(
            f"the network's logits must be finite. Received: NaN or infinity for example {indices[broken[0]]} of "
            f"{split}. Its weights or its precision overflow: try those of an earlier checkpoint, with checkpoint=best."
        )
    log_probabilities = log_softmax(logits, axis=1)
    probabilities, predicted = np.exp(log_probabilities), measures.predictions(evaluated.outputs["logits"]).numpy()
    rows = np.arange(len(labels))
    return Examples(
        indices=np.asarray(indices, np.int64),
        labels=labels,
        predicted=predicted,
        confidences=np.minimum(probabilities[rows, predicted], 1.0),
        ranks=measures.ranks(labels, evaluated.outputs["logits"]).numpy().astype(np.int64),
        losses=-log_probabilities[rows, labels],
        brier_scores=brier_scores(probabilities, labels),
    )
