"""Passes over a split once with a trained network: metrics as at the end of training, and numbers of each example.

The pass is that of the evaluation in training (`kerasdl.training.loop.EvaluationLoop`), and its sums are taken as they
are. What is kept of the examples depends on what the model gives: `classification` is for a label, `examples` for
anything else.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kerasdl.evaluate.classification import ClassCollector
from kerasdl.evaluate.examples import ExampleCollector
from kerasdl.training.loop import EvaluationLoop
from kerasdl.training.task import Evaluated, Sums

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasdl.data import Split
    from kerasdl.training.task import Task


class Evaluation(Protocol):
    """The results of a network on a split.

    Attributes:
        results: the task's own metrics, `loss` among them, as training logs them at its end.
        metrics: all metrics by name; those of `results` have their values.
    """

    @property
    def results(self) -> dict[str, float]: ...

    @property
    def metrics(self) -> dict[str, float]: ...

    def headline(self) -> str:
        """Returns the results in one line."""
        ...

    def show(self) -> None:
        """Prints what there is to say beyond the headline."""
        ...

    def files(self) -> "dict[str, str | Figure]":
        """Returns tables and pictures by the names of their files."""
        ...


class Collector(Protocol):
    """Takes what is needed from each batch of a pass, so that a split of any size passes by."""

    def add(self, evaluated: Evaluated, indices: np.ndarray, split: str) -> None:
        """Adds a batch.

        Args:
            evaluated: the batch and the task's outputs.
            indices: int64 (b,), the index of each example in the source's split.
            split: name of the split.

        Raises:
            UserError: the network gives a number that isn't finite.
        """
        ...

    def evaluation(self, task: "Task", sums: Sums) -> Evaluation:
        """Returns the results of all batches.

        Args:
            task: what was evaluated.
            sums: of the whole split.
        """
        ...


def evaluate(
    task: "Task",
    split: "Split",
    class_names: Sequence[str] = (),
    jit: bool = False,
    advance: Callable[[int], None] = lambda examples: None,
) -> Evaluation:
    """Passes over a split once.

    Args:
        task: of a trained network (`Trained.task`), or one in training.
        split: the examples.
        class_names: one name a class, if the model gives a label: then the task gives `logits` (b, classes).
        jit: compile the step with XLA, as in training.
        advance: called with the number of examples of each batch that is done.

    Raises:
        UserError: the network gives a number that isn't finite.
    """
    collector: Collector = (
        ClassCollector(split.features, tuple(class_names)) if class_names else ExampleCollector(split.features)
    )
    sums: Sums = {}
    for step, evaluated in enumerate(EvaluationLoop(task, split, jit).batches()):
        sums, indices = evaluated.sums, split.indices(0, step)
        collector.add(evaluated, indices, split.name)
        advance(len(indices))
    return collector.evaluation(task, sums)
