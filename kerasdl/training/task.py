"""The interface of a task: a training step, an evaluation step, and metrics from their sums.

A task owns its networks and optimizers by role and decides what a step computes: forward pass, loss, gradients,
metrics. The loop only knows that a step returns *statistics*, named float32 tensors that may be added over steps, calls
and replicas (sums and counts, never means), and that `results` turns their sums into named metrics.

A new kind of learning is one class in one file, derived from `Task`, and one file in conf/task/: `kerasdl.tasks` has
examples.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasdl.models.signature import Signature

Batch = dict[str, tf.Tensor]  # for each feature (b, *shape)
Statistics = dict[str, tf.Tensor]
Sums = dict[str, np.ndarray]
Arrays = dict[str, np.ndarray]


class Evaluated(NamedTuple):
    """The result of an evaluation.

    Attributes:
        sums: of the whole split.
        batch: the features of some of its examples, (b, *shape) each.
        outputs: the task's outputs for them.
    """

    sums: Sums
    batch: Arrays
    outputs: Arrays


class Task(abc.ABC):
    """A kind of learning, made from the `task` node of the configuration and a `kerasdl.tasks.context.TaskContext`.

    Attributes:
        networks: the networks by role, e.g. `generator` and `discriminator`; all of them are saved in checkpoints.
        optimizers: the optimizers by role; empty where nothing is trained. The learning rate of the first is logged,
            and callbacks see and change it. All follow the schedule.
        trains: by an optimizer's role, the roles of the networks that it trains, unless it is its own role only.
        metrics: for each metric of `results`, `minimize` or `maximize`.
        pictures_every: epochs between two calls of `pictures` during training; 0 for none before the end.
    """

    networks: Mapping[str, keras.Model]
    optimizers: Mapping[str, keras.optimizers.Optimizer]
    trains: Mapping[str, Sequence[str]] = {}
    metrics: Mapping[str, str]
    pictures_every: int = 0

    @abc.abstractmethod
    def shapes(self, training: bool) -> dict[str, tuple[int, ...]]:
        """Returns the shape of each statistic of a step; `loss` and `count` are always among them."""

    def prepare(self, batch: Batch, step: tf.Tensor) -> Batch:
        """Returns a training batch after all random changes: augmentation, views, noise, an adversary.

        Args:
            batch: as the data has it.
            step: int64 scalar, the number of training steps done before. Random numbers must be a function of it and of
                the run's seed (`TaskContext.key`), so that a resumed run draws the same ones.
        """
        return batch

    @abc.abstractmethod
    def train_step(self, batch: Batch) -> Statistics:
        """Updates the weights from a prepared batch."""

    @abc.abstractmethod
    def evaluation_step(self, batch: Batch) -> tuple[Statistics, Batch]:
        """Evaluates a batch as the data has it, without changing any state.

        Returns:
            Its statistics, and the outputs of the networks for its examples: named tensors (b, ...).
        """

    @abc.abstractmethod
    def results(self, sums: Sums) -> dict[str, float]:
        """Returns the metrics from sums of statistics; `loss` is always among them."""

    def pictures(self, evaluated: Evaluated) -> "dict[str, Figure]":
        """Returns pictures of an evaluation, by file name; none by default."""
        return {}

    @abc.abstractmethod
    def serving(self) -> "tuple[keras.Model, Signature]":
        """Returns the model for use after training, from raw features to predictions, and its signature."""


def trained_weights(task: Task, role: str) -> list[keras.Variable]:
    """Returns the weights that the optimizer of a role trains."""
    return [weight for each in task.trains.get(role, (role,)) for weight in task.networks[each].trainable_weights]


def one_model(networks: Mapping[str, keras.Model]) -> keras.Model:
    """Returns a model that has the weights of all networks, for callbacks and fingerprints: a single one itself."""
    if len(networks) == 1:
        return next(iter(networks.values()))
    return _Networks(networks)


class _Networks(keras.Model):
    """Networks as parts of one model that is never called."""

    def __init__(self, networks: Mapping[str, keras.Model]):
        super().__init__(name="networks")
        self.parts = list(networks.values())
        self.built = True
