"""Classification: one label per example, and a network that returns one logit per class."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from kerasdl import measures
from kerasdl.attacks import Attack
from kerasdl.console import warn
from kerasdl.data import preprocessing
from kerasdl.errors import ConfigError, DataError
from kerasdl.models.serving import serving_model
from kerasdl.models.signature import Signature
from kerasdl.tasks import losses
from kerasdl.tasks.adversary import Adversary
from kerasdl.tasks.context import TaskContext
from kerasdl.training.task import Batch, Evaluated, Statistics, Sums, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Classification(Task):
    """The task of predicting the class of an example.

    Args:
        context: has the data's features, and builds the network: one that takes `classes` and returns logits
            (b, classes).
        loss: `cross_entropy`: mean negative log-likelihood of log-softmax; `mean_squared_error`: between the
            probabilities and the one-hot label (Brier 1950, divided by the number of classes).
        label_smoothing: share of the target spread over all classes, in [0, 1) (Szegedy et al. 2016).
        class_weights: None, `balanced` (examples / (classes * count), as in scikit-learn), or a weight for each class.
            As in Keras, weighted losses are summed and divided by the batch size.
        metrics: of `accuracy`, `top_<k>_accuracy`, `precision`, `recall`, `f1`; the last three are means over the
            classes, counting 0 where a class has no such example (scikit-learn's macro average).

    Raises:
        ConfigError: a metric or weights that don't fit the number of classes.
        DataError: the data has no label, or all training examples are of one class.
    """

    def __init__(
        self,
        context: TaskContext,
        *,
        loss: str = "cross_entropy",
        label_smoothing: float = 0.0,
        class_weights: str | Sequence[float] | None = None,
        metrics: Sequence[str] = ("accuracy",),
    ):
        self._context = context
        self._target, self._names = _label(context)
        self.classes = len(self._names)
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.metrics = {"loss": "minimize", **{name: "maximize" for name in metrics}}
        self._reported = tuple(metrics)
        self._top = {name: int(k) for name in metrics for k in re.findall(r"top_(\d+)_accuracy", name)}
        for name, k in self._top.items():
            if k > self.classes:
                raise ConfigError(f"task.metrics: {name} needs at least {k} classes. The data set has {self.classes}.")
        counts = None
        if context.train is not None:
            counts = np.bincount(context.train.column(self._target), minlength=self.classes).astype(np.int64)
            _check_classes(context, counts, self._names)
        self._weights = _class_weights(class_weights, self.classes, counts)
        self.network = context.network("classifier", classes=self.classes, outputs=self.classes)
        self.networks = {"classifier": self.network}
        self.optimizers = context.optimizer("classifier", self.network)
        self._adversary = self._make_adversary()

    def shapes(self, training: bool) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"loss": (), "count": (), "accuracy": ()}
        shapes.update({name: () for name in self._top})
        if self._counts_confusion(training):
            shapes["confusion"] = (self.classes, self.classes)
        return shapes

    def prepare(self, batch: Batch, step: tf.Tensor) -> Batch:
        """Returns the batch with its images augmented, and then changed by the adversary."""
        batch = self._context.augmented(batch, step)
        if self._adversary:
            batch["image"] = self._adversary(batch["image"], batch[self._target], step)
        return batch

    def train_step(self, batch: Batch) -> Statistics:
        weights, (optimizer,) = self.network.trainable_weights, self.optimizers.values()
        with tf.GradientTape() as tape:
            logits = self.network(self._context.preprocessed(batch), training=True)
            loss = self._loss(batch, logits, self._weights)
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, weights), weights)
        return self._statistics(batch, logits, loss, training=True)

    def logits(self, batch: Batch) -> tf.Tensor:
        """Returns the network's logits (b, classes) in inference mode, without changing any state."""
        return self.network(self._context.preprocessed(batch), training=False)

    def evaluation_step(self, batch: Batch) -> tuple[Statistics, Batch]:
        """Returns the statistics of a batch, and `logits` (b, classes) float32."""
        logits = self.logits(batch)
        statistics = self._statistics(batch, logits, self._loss(batch, logits, None), training=False)
        return statistics, {"logits": tf.cast(logits, tf.float32)}

    def results(self, sums: Sums) -> dict[str, float]:
        count = float(sums["count"])
        results = {"loss": float(sums["loss"]) / count}
        macro = measures.macro_averages(sums["confusion"]) if "confusion" in sums else {}
        for name in self._reported:
            results[name] = macro[name] if name in macro else float(sums[name]) / count
        return results

    def pictures(self, evaluated: Evaluated) -> "dict[str, Figure]":
        """Returns the confusion matrix."""
        from kerasdl.figures.confusion import confusion_matrix

        return {"confusion_matrix.png": confusion_matrix(evaluated.sums["confusion"].astype(int), self._names)}

    def serving(self) -> tuple[keras.Model, Signature]:
        """Returns the model from raw features to class probabilities (b, classes) float32, and its signature."""
        features, fitted = self._context.features, preprocessing.to_json(self._context.fitted)
        signature = Signature("classification", features.inputs, {"label": features.targets[self._target]}, fitted)
        softmax = keras.layers.Softmax(name="probabilities", dtype="float32")
        return serving_model(self.network, features.inputs, self._context.inputs, softmax), signature

    def _make_adversary(self) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor] | None:
        config = self._context.config
        settings = config.trainer.get("adversarial")  # absent from a run of a version without this key
        if not settings or not settings.epsilon or self._context.train is None:
            return None
        if set(self._context.features.inputs) != {"image"}:
            raise ConfigError(
                "trainer.adversarial needs images. Received: data with "
                f"{self._context.features.describe()}. Set trainer.adversarial.epsilon=0."
            )
        attack = Attack(
            settings.norm, settings.epsilon, settings.steps, settings.step_size, random_start=settings.random_start
        )
        warmup_steps = settings.warmup * self._context.train.steps
        adversary = Adversary(
            attack, lambda images: self.logits({"image": images}), self._context.key("adversarial"), warmup_steps
        )
        return self._context.compiled(adversary)

    def _loss(self, batch: Batch, logits: tf.Tensor, class_weights: tf.Tensor | None) -> tf.Tensor:
        labels = batch[self._target]
        if self.loss == "cross_entropy" and not self.label_smoothing:
            each = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        else:
            targets = tf.one_hot(labels, self.classes)
            smoothing = self.label_smoothing
            if self.loss == "cross_entropy":
                each = keras.losses.categorical_crossentropy(
                    targets, logits, from_logits=True, label_smoothing=smoothing
                )
            else:
                targets = targets * (1.0 - smoothing) + smoothing / self.classes
                each = keras.losses.mean_squared_error(targets, tf.nn.softmax(logits))
        if class_weights is not None:
            each *= tf.gather(class_weights, labels)
        return tf.add_n([losses.averaged(each, batch), *losses.penalties(self.network, batch=batch)])

    def _statistics(self, batch: Batch, logits: tf.Tensor, loss: tf.Tensor, training: bool) -> Statistics:
        labels, count = batch[self._target], losses.count(batch)
        predicted = measures.predictions(logits)
        hits = tf.cast(tf.equal(predicted, labels), tf.float32)
        statistics = {"loss": loss * losses.step_size(batch), "count": count, "accuracy": losses.total(hits, batch)}
        if self._top:
            ranks = measures.ranks(labels, logits)
            for name, k in self._top.items():
                statistics[name] = losses.total(tf.cast(ranks < k, tf.float32), batch)
        if self._counts_confusion(training):
            statistics["confusion"] = measures.confusion(labels, predicted, self.classes, weights=batch.get("mask"))
        return statistics

    def _counts_confusion(self, training: bool) -> bool:
        """Returns whether the confusion matrix is counted: in evaluation always, in training if a metric needs it."""
        return not training or bool({"precision", "recall", "f1"} & set(self._reported))


def _label(context: TaskContext) -> tuple[str, tuple[str, ...]]:
    """Returns the name and the classes of the data's only label."""
    labels = {name: feature.names for name, feature in context.features.targets.items() if feature.kind == "label"}
    if len(labels) != 1:
        raise DataError(
            f"task=classification needs data with one class label per example. Received: {context.config.data.name} "
            f"with {context.features.describe()}. Choose another task, or other data."
        )
    return next(iter(labels.items()))


def _check_classes(context: TaskContext, counts: np.ndarray, names: Sequence[str]) -> None:
    """Refuses to train on examples of a single class, which any network soon predicts every time.

    If only the few examples that `data.fraction` or `data.batches` keep are of one class, a warning is enough: such
    a run is only a test.
    """
    if np.count_nonzero(counts) > 1:
        return
    config = context.config.data
    found = f"training examples are of the class {names[int(counts.argmax())]!r}"
    if config.fraction < 1 or config.batches is not None:
        warn(f"all {counts.sum():,} {found} with data.fraction={config.fraction} and data.batches={config.batches}.")
        return
    raise DataError(
        f"data.train_split must have examples of at least two classes. Received: {config.train_split!r}, where all "
        f"{counts.sum():,} {found}. Use a larger part of the split, or mix its examples in the builder."
    )


def _class_weights(choice: str | Sequence[float] | None, classes: int, counts: np.ndarray | None) -> tf.Tensor | None:
    if choice is None or counts is None:  # evaluation has no weights
        return None
    if isinstance(choice, str):
        weights = counts.sum() / (classes * np.maximum(counts, 1))
    else:
        weights = np.asarray(choice)
        if len(weights) != classes:
            raise ConfigError(
                f"task.class_weights must have {classes} weights, one per class. Received: {len(weights)}."
            )
    return tf.constant(weights, tf.float32)
