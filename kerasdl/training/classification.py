"""Classification: one label an image, a network that gives one logit a class."""

import re
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasdl import measures
from kerasdl.errors import ConfigError
from kerasdl.models.serving import serving_model
from kerasdl.training.task import Statistics, Sums


class Classification:
    """The task of naming the class of an image.

    Args:
        model: from normalised images (b, h, w, c) float32 to logits (b, classes).
        optimizer: a Keras optimizer; under mixed_float16 a `LossScaleOptimizer`.
        normalization: layer from raw pixels in 0..255 to what the model takes.
        classes: number of classes.
        class_counts: gives the number of training examples a class, for `class_weights="balanced"`.
        loss: `cross_entropy`: mean negative log-likelihood of log-softmax; `mean_squared_error`: between the
            probabilities and the one-hot label (Brier 1950, divided by the number of classes).
        label_smoothing: share of the target spread over all classes, in [0, 1) (Szegedy et al. 2016).
        class_weights: None, `balanced` (examples / (classes * count), as scikit-learn has it), or a weight a class.
            As in Keras, weighted losses are summed and divided by the batch size.
        metrics: of `accuracy`, `top_<k>_accuracy`, `precision`, `recall`, `f1`; the last three are means over the
            classes, counting 0 where a class has no such example (scikit-learn's macro average).

    Raises:
        ConfigError: a metric or weights that don't fit the number of classes.
    """

    def __init__(
        self,
        *,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        normalization: keras.layers.Layer,
        classes: int,
        class_counts: Callable[[], np.ndarray],
        loss: str = "cross_entropy",
        label_smoothing: float = 0.0,
        class_weights: str | Sequence[float] | None = None,
        metrics: Sequence[str] = ("accuracy",),
    ):
        self.model = model
        self.optimizer = optimizer
        self.normalization = normalization
        self.classes = classes
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.metrics = tuple(metrics)
        self._weights = _class_weights(class_weights, classes, class_counts)
        self._top = {name: int(k) for name in metrics for k in re.findall(r"top_(\d+)_accuracy", name)}
        for name, k in self._top.items():
            if k > classes:
                raise ConfigError(f"task.metrics: {name} needs at least {k} classes. The data set has {classes}.")

    def shapes(self, training: bool) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"loss": (), "count": (), "accuracy": ()}
        shapes.update({name: () for name in self._top})
        if self._counts_confusion(training):
            shapes["confusion"] = (self.classes, self.classes)
        return shapes

    def train_step(self, images: tf.Tensor, labels: tf.Tensor) -> Statistics:
        weights = self.model.trainable_weights
        with tf.GradientTape() as tape:
            logits = self.model(self.normalization(images), training=True)
            loss = self._loss(labels, logits, self._weights)
            scaled = self.optimizer.scale_loss(loss)
        self.optimizer.apply(tape.gradient(scaled, weights), weights)
        return self._statistics(labels, logits, loss, training=True)

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        return self.model(self.normalization(images), training=False)

    def evaluation_step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Statistics, tf.Tensor]:
        logits = self.logits(images)
        return self._statistics(labels, logits, self._loss(labels, logits, None), training=False), logits

    def results(self, sums: Sums) -> dict[str, float]:
        count = float(sums["count"])
        results = {"loss": float(sums["loss"]) / count}
        macro = measures.macro_averages(sums["confusion"]) if "confusion" in sums else {}
        for name in self.metrics:
            results[name] = macro[name] if name in macro else float(sums[name]) / count
        return results

    def serving_model(self) -> keras.Model:
        """Returns the model from raw images (b, h, w, c) uint8 to class probabilities (b, classes) float32."""
        return serving_model(
            self.model, self.normalization, keras.layers.Softmax(name="probabilities", dtype="float32")
        )

    def _loss(self, labels: tf.Tensor, logits: tf.Tensor, class_weights: tf.Tensor | None) -> tf.Tensor:
        if self.loss == "cross_entropy" and not self.label_smoothing:
            losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        else:
            targets = tf.one_hot(labels, self.classes)
            smoothing = self.label_smoothing
            if self.loss == "cross_entropy":
                losses = keras.losses.categorical_crossentropy(
                    targets, logits, from_logits=True, label_smoothing=smoothing
                )
            else:
                targets = targets * (1.0 - smoothing) + smoothing / self.classes
                losses = keras.losses.mean_squared_error(targets, tf.nn.softmax(logits))
        if class_weights is not None:
            losses *= tf.gather(class_weights, labels)
        return tf.add_n([tf.reduce_mean(losses), *(tf.cast(term, tf.float32) for term in self.model.losses)])

    def _statistics(self, labels: tf.Tensor, logits: tf.Tensor, loss: tf.Tensor, training: bool) -> Statistics:
        count = tf.cast(tf.shape(labels)[0], tf.float32)
        predicted = measures.predictions(logits)
        hits = tf.cast(tf.equal(predicted, labels), tf.float32)
        statistics = {"loss": loss * count, "count": count, "accuracy": tf.reduce_sum(hits)}
        if self._top:
            ranks = measures.ranks(labels, logits)
            for name, k in self._top.items():
                statistics[name] = tf.reduce_sum(tf.cast(ranks < k, tf.float32))
        if self._counts_confusion(training):
            statistics["confusion"] = measures.confusion(labels, predicted, self.classes)
        return statistics

    def _counts_confusion(self, training: bool) -> bool:
        """Evaluation always counts, for the picture; training only for the metrics that need it."""
        return not training or bool({"precision", "recall", "f1"} & set(self.metrics))


def _class_weights(
    choice: str | Sequence[float] | None, classes: int, class_counts: Callable[[], np.ndarray]
) -> tf.Tensor | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        counts = class_counts()
        weights = counts.sum() / (classes * np.maximum(counts, 1))
    else:
        weights = np.asarray(choice)
        if len(weights) != classes:
            raise ConfigError(f"task.class_weights must have {classes} weights, one a class. Received: {len(weights)}.")
    return tf.constant(weights, tf.float32)
