"""Regression: one number per example."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from kerasdl.data import preprocessing
from kerasdl.errors import DataError
from kerasdl.models.serving import serving_model
from kerasdl.models.signature import Signature
from kerasdl.tasks import losses
from kerasdl.tasks.context import TaskContext
from kerasdl.training.task import Batch, Evaluated, Statistics, Sums, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOSSES = {
    "mean_squared_error": keras.losses.mean_squared_error,
    "mean_absolute_error": keras.losses.mean_absolute_error,
    "huber": keras.losses.huber,
}


class Regression(Task):
    """The task of predicting a number from an example.

    The network predicts the target standardized by the mean and standard deviation of the training split, and the loss
    is computed on that scale. Metrics and predictions are in the target's own unit.

    Args:
        context: has the data's features, and builds the network: one that takes `outputs`, here 1.
        loss: `mean_squared_error`, `mean_absolute_error`, or `huber` with a threshold of 1 (Huber 1964).
        metrics: of `mse`, `rmse`, `mae` and `r2`, the fraction of the variance that is explained.

    Raises:
        DataError: the data has no number as its target.
    """

    def __init__(
        self,
        context: TaskContext,
        *,
        loss: str = "mean_squared_error",
        metrics: Sequence[str] = ("mse", "mae", "r2"),
    ):
        self._context = context
        self._target = _number(context)
        self._scale = context.fitted[self._target]
        self._loss = _LOSSES[loss]
        self._reported = tuple(metrics)
        self.metrics = {"loss": "minimize"} | {name: "maximize" if name == "r2" else "minimize" for name in metrics}
        self.network = context.network("regressor", outputs=1)
        self.networks = {"regressor": self.network}
        self.optimizers = context.optimizer("regressor", self.network)

    def shapes(self, training: bool) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("loss", "count", "squared", "absolute", "target", "squared_target"), ())

    def prepare(self, batch: Batch, step: tf.Tensor) -> Batch:
        return self._context.augmented(batch, step)

    def train_step(self, batch: Batch) -> Statistics:
        weights, (optimizer,) = self.network.trainable_weights, self.optimizers.values()
        with tf.GradientTape() as tape:
            given = self._standardized(batch, training=True)
            loss = self._measured(batch, given)
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, weights), weights)
        return self._statistics(batch, given, loss)

    def evaluation_step(self, batch: Batch) -> tuple[Statistics, Batch]:
        """Returns the statistics of a batch, and `prediction` (b,) float32 in the target's unit."""
        given = self._standardized(batch, training=False)
        prediction = given * self._scale.std + self._scale.mean
        return self._statistics(batch, given, self._measured(batch, given)), {"prediction": prediction}

    def results(self, sums: Sums) -> dict[str, float]:
        count, std = float(sums["count"]), self._scale.std
        mean_squared = float(sums["squared"]) / count
        variance = float(sums["squared_target"]) / count - (float(sums["target"]) / count) ** 2
        values = {
            "mse": mean_squared * std**2,
            "rmse": mean_squared**0.5 * std,
            "mae": float(sums["absolute"]) / count * std,
            "r2": 1 - mean_squared / variance if variance > 0 else float("nan"),
        }
        return {"loss": float(sums["loss"]) / count} | {name: values[name] for name in self._reported}

    def pictures(self, evaluated: Evaluated) -> "dict[str, Figure]":
        """Returns predictions against targets, and their residuals."""
        from kerasdl.figures.residuals import residuals

        target, prediction = evaluated.batch[self._target], evaluated.outputs["prediction"]
        return {"residuals.png": residuals(target, prediction, self._target)}

    def serving(self) -> tuple[keras.Model, Signature]:
        """Returns the model from raw features to the number (b, 1) float32 in its own unit, and its signature."""
        features, fitted = self._context.features, preprocessing.to_json(self._context.fitted)
        signature = Signature("regression", features.inputs, {self._target: features.targets[self._target]}, fitted)
        output = self._scale.inverse("prediction")
        return serving_model(self.network, features.inputs, self._context.inputs, output), signature

    def _standardized(self, batch: Batch, training: bool) -> tf.Tensor:
        return tf.squeeze(self.network(self._context.preprocessed(batch), training=training), axis=-1)

    def _targets(self, batch: Batch) -> tf.Tensor:
        return (tf.cast(batch[self._target], tf.float32) - self._scale.mean) / self._scale.std

    def _measured(self, batch: Batch, given: tf.Tensor) -> tf.Tensor:
        each = self._loss(self._targets(batch)[:, None], given[:, None])
        return tf.add_n([losses.averaged(each, batch), *losses.penalties(self.network, batch=batch)])

    def _statistics(self, batch: Batch, given: tf.Tensor, loss: tf.Tensor) -> Statistics:
        targets, count = self._targets(batch), losses.count(batch)
        errors = given - targets
        return {
            "loss": loss * losses.step_size(batch),
            "count": count,
            "squared": losses.total(errors**2, batch),
            "absolute": losses.total(tf.abs(errors), batch),
            "target": losses.total(targets, batch),
            "squared_target": losses.total(targets**2, batch),
        }


def _number(context: TaskContext) -> str:
    """Returns the name of the data's only target, which must be a number."""
    targets = context.features.targets
    if [feature.kind for feature in targets.values()] != ["number"]:
        raise DataError(
            f"task=regression needs data with one number as its target. Received: {context.config.data.name} with "
            f"{context.features.describe()}. Choose another task, or other data."
        )
    return next(iter(targets))
