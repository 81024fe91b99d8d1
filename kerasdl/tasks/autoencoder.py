"""Autoencoder: reconstructs an image from a narrow code, learned without labels (Hinton and Salakhutdinov 2006)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from kerasdl.data.features import Feature
from kerasdl.errors import DataError
from kerasdl.models.signature import Signature
from kerasdl.tasks import losses
from kerasdl.tasks.context import TaskContext
from kerasdl.training.task import Batch, Evaluated, Statistics, Sums, Task, trained_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Autoencoder(Task):
    """The task of reconstructing an image from its code.

    Pixels are compared in [0, 1], the range of the decoder's logits after a sigmoid.

    Args:
        context: has the data's features, and builds two networks by role: `encoder`, from images to codes, and
            `decoder`, from codes to logits of pixels. One optimizer trains both.
        loss: `mean_squared_error` or `binary_cross_entropy`, each a mean over the pixels.
        metrics: of `mse`, the mean squared error of a pixel, and `mae`.
        pictures_every: epochs between two pictures of reconstructions; 0 for one at the end of training only.

    Raises:
        DataError: the input isn't one image.
    """

    trains = {"autoencoder": ("encoder", "decoder")}

    def __init__(
        self,
        context: TaskContext,
        *,
        loss: str = "mean_squared_error",
        metrics: Sequence[str] = ("mse",),
        pictures_every: int = 5,
    ):
        if [feature.kind for feature in context.features.inputs.values()] != ["image"]:
            raise DataError(
                f"task=autoencoder needs data with one image per example. Received: {context.config.data.name} with "
                f"{context.features.describe()}. Choose another task, or other data."
            )
        self._context = context
        self._loss = loss
        self._reported = tuple(metrics)
        self.metrics = dict.fromkeys(("loss", *metrics), "minimize")
        self.pictures_every = pictures_every
        self.networks = context.networks("encoder", "decoder")
        self.optimizers = context.optimizer("autoencoder", *self.networks.values())

    def shapes(self, training: bool) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("loss", "count", "mse", "mae"), ())

    def prepare(self, batch: Batch, step: tf.Tensor) -> Batch:
        return self._context.augmented(batch, step)

    def train_step(self, batch: Batch) -> Statistics:
        (optimizer,), weights = self.optimizers.values(), trained_weights(self, "autoencoder")
        with tf.GradientTape() as tape:
            _, logits = self._coded(batch, training=True)
            loss = self._measured(batch, logits)
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, weights), weights)
        return self._statistics(batch, logits, loss)

    def evaluation_step(self, batch: Batch) -> tuple[Statistics, Batch]:
        """Returns the statistics of a batch, its `reconstruction` float32 in 0..255, and its `code` (b, code)."""
        code, logits = self._coded(batch, training=False)
        outputs = {"reconstruction": 255 * tf.sigmoid(logits), "code": code}
        return self._statistics(batch, logits, self._measured(batch, logits)), outputs

    def results(self, sums: Sums) -> dict[str, float]:
        return {name: float(sums[name]) / float(sums["count"]) for name in ("loss", *self._reported)}

    def pictures(self, evaluated: Evaluated) -> "dict[str, Figure]":
        """Returns images above their reconstructions."""
        from kerasdl.figures.reconstructions import reconstructions

        return {"reconstructions.png": reconstructions(evaluated.batch["image"], evaluated.outputs["reconstruction"])}

    def serving(self) -> tuple[keras.Model, Signature]:
        """Returns the model from images uint8 to `reconstruction` float32 in 0..255 and `code` float32, by name."""
        image = self._context.features.inputs["image"]
        raw = keras.Input(image.shape, dtype=image.dtype, name="image")
        code = self.networks["encoder"](self._context.inputs["image"](raw))
        pixels = keras.layers.Activation("sigmoid", name="pixels", dtype="float32")(self.networks["decoder"](code))
        reconstruction = keras.layers.Rescaling(255.0, name="reconstruction", dtype="float32")(pixels)
        outputs = {
            "reconstruction": Feature("image", image.shape, "float32"),
            "code": Feature("number", tuple(code.shape[1:]), "float32"),
        }
        model = keras.Model(raw, {"reconstruction": reconstruction, "code": code}, name="autoencoder")
        return model, Signature("autoencoder", {"image": image}, outputs)

    def _coded(self, batch: Batch, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        code = self.networks["encoder"](self._context.preprocessed(batch), training=training)
        return code, tf.cast(self.networks["decoder"](code, training=training), tf.float32)

    def _measured(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        targets = _pixels(batch)
        if self._loss == "binary_cross_entropy":
            each = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
        else:
            each = (tf.sigmoid(logits) - targets) ** 2
        return tf.add_n([losses.averaged(_mean(each), batch), *losses.penalties(*self.networks.values(), batch=batch)])

    def _statistics(self, batch: Batch, logits: tf.Tensor, loss: tf.Tensor) -> Statistics:
        errors, count = tf.sigmoid(logits) - _pixels(batch), losses.count(batch)
        return {
            "loss": loss * losses.step_size(batch),
            "count": count,
            "mse": losses.total(_mean(errors**2), batch),
            "mae": losses.total(_mean(tf.abs(errors)), batch),
        }


def _pixels(batch: Batch) -> tf.Tensor:
    return tf.cast(batch["image"], tf.float32) / 255


def _mean(values: tf.Tensor) -> tf.Tensor:
    """Returns the mean of each example's values, (b,)."""
    return tf.reduce_mean(values, axis=[1, 2, 3])
