"""Attribution by the gradient at the pixels: saliency at the image itself, integrated gradients on a way to it."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from kerasdl.explain.attribution.batches import Attribution, checked, derivative, in_batches, logits_of

# Up to this many times the steps that were asked for, before completeness is given up.
MOST_DOUBLINGS = 4
# A relative gap means nothing where the logits of image and baseline are the same but for rounding.
LEAST_DIFFERENCE = 1e-3


def saliency(model: keras.Model, batch_size: int = 64) -> Attribution:
    """Returns the saliency attribution of `model`: how strongly the logit reacts to each pixel, in either direction.

    The largest absolute gradient over the channels (Simonyan, Vedaldi and Zisserman 2014, "Deep inside convolutional
    networks", section 3.1).

    Args:
        model: from pixels (b, h, w, c) float32 in 0..255 to logits (b, classes).
        batch_size: images at once, >= 1.

    Returns:
        A function of images (n, h, w, c) in 0..255 and classes (n,) that gives maps float32 (n, h, w) >= 0, in logits
        per grey level. It raises UserError if the network can't be differentiated.
    """
    shape = model.input_shape[1:]

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([None, *shape], tf.float32), tf.TensorSpec([None], tf.int32)],
    )
    def maps(images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            logits = logits_of(model(images, training=False), classes)
        return tf.reduce_max(tf.abs(derivative(tape, logits, images, "the pixels")), axis=-1)

    def attribute(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return in_batches(maps, batch_size, *checked(images, classes, shape))

    return attribute


@dataclass(frozen=True)
class Integrated:
    """Integrated gradients of n images, and how well they add up.

    Attributes:
        maps: float32 (n, h, w), signed, summed over the channels, in logits.
        differences: float64 (n,), the logit of the image less that of its baseline: what a map should sum to.
        gaps: float64 (n,), |sum of the map - difference| / |difference|, relative to 0.001 logits where the difference
            is smaller.
        steps: int64 (n,), gradients that were taken on the way.
    """

    maps: np.ndarray
    differences: np.ndarray
    gaps: np.ndarray
    steps: np.ndarray

    def described(self) -> list[str]:
        """Returns a line for each image that says whether its map adds up."""
        sums = self.maps.sum(axis=(1, 2), dtype="float64")
        return [
            f"sum {total:.2f}, difference of the logits {difference:.2f}: gap {100 * gap:.2f} % in {steps} steps"
            for total, difference, gap, steps in zip(sums, self.differences, self.gaps, self.steps, strict=True)
        ]


def integrated_gradients(
    model: keras.Model, steps: int = 64, tolerance: float = 0.01, batch_size: int = 64
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Integrated]:
    """Returns the integrated-gradients attribution of `model`: each pixel's share of the way from baseline to image.

    (image - baseline) times the mean gradient on the straight line between them (Sundararajan, Taly and Yan 2017,
    "Axiomatic attribution for deep networks", equation 1), by the midpoint rule. The shares should sum to the
    difference of the logits at both ends. Where they miss it by more than `tolerance`, the steps are doubled, up to
    2**`MOST_DOUBLINGS` times; whether that was enough is for the caller to read from the gaps.

    Args:
        model: from pixels (b, h, w, c) float32 in 0..255 to logits (b, classes).
        steps: gradients on the way, >= 1.
        tolerance: largest relative gap that is left alone, >= 0.
        batch_size: points of the way at once, >= 1.

    Returns:
        A function of images (n, h, w, c) in 0..255, classes (n,) and baselines like the images. It raises UserError
        if the network can't be differentiated.
    """
    shape = model.input_shape[1:]
    image_spec = tf.TensorSpec(shape, tf.float32)

    @tf.function(
        autograph=False,
        input_signature=[image_spec, image_spec, tf.TensorSpec([], tf.int32), tf.TensorSpec([None], tf.float32)],
    )
    def gradient_sum(image: tf.Tensor, baseline: tf.Tensor, number: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        points = baseline + positions[:, None, None, None] * (image - baseline)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            logits = model(points, training=False)[:, number]
        return tf.reduce_sum(derivative(tape, logits, points, "the pixels"), axis=0)

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec([None, *shape], tf.float32), tf.TensorSpec([None], tf.int32)]
    )
    def logits(images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return logits_of(model(images, training=False), classes)

    def shares(image: np.ndarray, baseline: np.ndarray, number: np.int32, count: int) -> np.ndarray:
        positions = ((np.arange(count) + 0.5) / count).astype("float32")
        total = np.zeros(shape)
        for start in range(0, count, batch_size):
            total += gradient_sum(image, baseline, number, positions[start : start + batch_size]).numpy()
        return (image.astype("float64") - baseline) * total / count

    def attribute(images: np.ndarray, classes: np.ndarray, baselines: np.ndarray) -> Integrated:
        images, classes = checked(images, classes, shape)
        baselines, _ = checked(baselines, classes, shape)
        ends = (in_batches(logits, batch_size, points, classes).astype("float64") for points in (images, baselines))
        differences = np.subtract(*ends)
        maps, gaps, taken = [], [], []
        for image, baseline, number, difference in zip(images, baselines, classes, differences, strict=True):
            for doublings in range(MOST_DOUBLINGS + 1):
                count = steps * 2**doublings
                map_ = shares(image, baseline, number, count)
                gap = abs(map_.sum() - difference) / max(abs(difference), LEAST_DIFFERENCE)
                if gap <= tolerance:
                    break
            maps.append(map_.sum(axis=-1).astype("float32"))
            gaps.append(gap)
            taken.append(count)
        return Integrated(np.stack(maps), differences, np.array(gaps, "float64"), np.array(taken, "int64"))

    return attribute
