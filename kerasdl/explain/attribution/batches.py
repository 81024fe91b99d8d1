"""What every method does with its images: check them, find plain ones to compare with, batch them, differentiate."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasdl.errors import UserError

Attribution = Callable[[np.ndarray, np.ndarray], np.ndarray]
BASELINES = ("black", "white", "mean")


def checked(images: np.ndarray, classes: np.ndarray, shape: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Returns images as float32 (n, h, w, c) and classes as int32 (n,).

    Args:
        images: pixels in 0..255, any dtype.
        classes: the class to explain for each image.
        shape: (h, w, c) of the model's input.

    Raises:
        ValueError: the shapes don't fit, or there are no images.
    """
    images, classes = np.asarray(images, "float32"), np.asarray(classes, "int32")
    if images.shape[1:] != tuple(shape) or classes.shape != images.shape[:1] or not len(images):
        raise ValueError(
            f"images must be (n, {', '.join(map(str, shape))}) and classes (n,), n >= 1. "
            f"Received: {images.shape} and {classes.shape}."
        )
    return images, classes


def baseline_images(images: np.ndarray, kind: str) -> np.ndarray:
    """Returns a plain image for each image.

    Args:
        images: pixels in 0..255, (n, h, w, c).
        kind: `black` (0), `white` (255) or `mean` (the mean of each image's own channels).

    Returns:
        float32 (n, h, w, c), one colour an image.

    Raises:
        ValueError: `kind` is none of these.
    """
    if kind not in BASELINES:
        raise ValueError(f"kind must be one of {', '.join(BASELINES)}. Received: '{kind}'.")
    images = np.asarray(images, "float32")
    if kind == "mean":
        return np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape).copy()
    return np.full_like(images, 0.0 if kind == "black" else 255.0)


def in_batches(function: tf.types.experimental.GenericFunction, batch_size: int, *arrays: np.ndarray) -> np.ndarray:
    """Returns what `function` gives for slices of `arrays`, put together along the first axis, as float32."""
    starts = range(0, len(arrays[0]), batch_size)
    parts = [function(*(array[start : start + batch_size] for array in arrays)) for start in starts]
    return np.concatenate([part.numpy().astype("float32") for part in parts])


def logits_of(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Returns each image's logit of its class: (b,) of (b, classes)."""
    return tf.gather(logits, classes, axis=1, batch_dims=1)


def derivative(tape: tf.GradientTape, value: tf.Tensor, source: tf.Tensor, what: str) -> tf.Tensor:
    """Returns the gradient of the sum of `value` by `source`.

    Raises:
        UserError: `value` doesn't depend on `source`, or not through operations that can be differentiated.
    """
    gradient = tape.gradient(value, source)
    if gradient is None:
        raise UserError(
            f"no gradient leads from the network's logits to {what}: a layer between them can't be differentiated. "
            "Use method=occlusion, which needs none."
        )
    return gradient
