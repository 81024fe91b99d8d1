"""Grad-CAM: where in the image a layer's feature maps count for a class."""

import keras
import numpy as np
import tensorflow as tf

from kerasdl.explain.attribution.batches import Attribution, checked, derivative, in_batches, logits_of
from kerasdl.explain.attribution.placement import enlarging


def gradcam(model: keras.Model, batch_size: int = 64) -> Attribution:
    """Returns the Grad-CAM attribution of `model` at one of its layers.

    The layer's feature maps, each weighted by the mean of the logit's gradient over it, are summed, and what is
    negative is cut off (Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2). The map has the layer's resolution and
    is enlarged to the image's, bilinearly, with each cell where it looks (`kerasdl.explain.attribution.placement`).

    Args:
        model: from pixels (b, h, w, c) float32 in 0..255 to a list of logits (b, classes) and the layer's output
            (b, h', w', maps), as `on_pixels(layers=[name])` gives it.
        batch_size: images at once, >= 1.

    Returns:
        A function of images (n, h, w, c) in 0..255 and classes (n,) that gives maps float32 (n, h, w) >= 0, in logits
        per cell of the layer. It raises UserError if no gradient reaches the layer.

    Raises:
        ValueError: the second output has no feature maps.
    """
    shape = model.input_shape[1:]
    if len(model.outputs) != 2 or len(model.outputs[1].shape) != 4:
        shapes = ", ".join(str(output.shape) for output in model.outputs)
        raise ValueError(f"model must give logits and feature maps (b, h, w, maps). Received outputs {shapes}.")
    rows, columns = enlarging(model)

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([None, *shape], tf.float32), tf.TensorSpec([None], tf.int32)],
    )
    def maps(images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            outputs, features = model(images, training=False)
            logits = logits_of(outputs, classes)
        gradient = derivative(tape, logits, features, "that layer")
        weights = tf.reduce_mean(tf.cast(gradient, tf.float32), axis=(1, 2))
        weighted = tf.einsum("bhwm,bm->bhw", tf.cast(features, tf.float32), weights)
        return tf.einsum("yh,bhw,xw->byx", rows, tf.nn.relu(weighted), columns)

    def attribute(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return in_batches(maps, batch_size, *checked(images, classes, shape))

    return attribute
