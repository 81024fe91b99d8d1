"""Occlusion: what a logit loses when a part of the image is hidden. It needs no gradient and works for any network."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kerasdl.explain.attribution.batches import checked, in_batches, logits_of

Size = int | float


def occlusion(
    model: keras.Model, window: Size = 0.2, stride: Size = 0.05, batch_size: int = 256
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Returns the occlusion attribution of `model`.

    A window slides over the image and replaces what is under it by the baseline; a pixel's value is the mean loss of
    the logit over the windows that hide it (Zeiler and Fergus 2014, "Visualizing and understanding convolutional
    networks", section 4.2, which uses a grey square and the probability). The windows lie inside the image; the last
    one of a row or column ends at its border, whatever the stride.

    Args:
        model: from pixels (b, h, w, c) float32 in 0..255 to logits (b, classes).
        window: side of the square window: pixels (int >= 1), or a share of the image's sides (float in (0, 1]).
        stride: from window to window, likewise.
        batch_size: hidden images at once, >= 1.

    Returns:
        A function of images (n, h, w, c) in 0..255, classes (n,) and baselines like the images, that gives maps
        float32 (n, h, w), signed, in logits: positive where hiding a part speaks against the class.

    Raises:
        ValueError: a window or stride that is no size, or a stride larger than the window, which would leave gaps.
    """
    shape = model.input_shape[1:]
    heights, widths = (windows(side, window, stride) for side in shape[:2])
    (height, tops), (width, lefts) = heights, widths
    corners = np.array([(top, left) for top in tops for left in lefts], "int32")
    image_spec = tf.TensorSpec(shape, tf.float32)

    @tf.function(
        autograph=False,
        input_signature=[image_spec, image_spec, tf.TensorSpec([], tf.int32), tf.TensorSpec([None, 2], tf.int32)],
    )
    def hidden(image: tf.Tensor, baseline: tf.Tensor, number: tf.Tensor, corners: tf.Tensor) -> tf.Tensor:
        below, right = (tf.range(side) - corners[:, axis, None] for axis, side in enumerate(shape[:2]))
        rows, columns = (below >= 0) & (below < height), (right >= 0) & (right < width)
        under = (rows[:, :, None] & columns[:, None, :])[..., None]
        return model(tf.where(under, baseline, image), training=False)[:, number]

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec([None, *shape], tf.float32), tf.TensorSpec([None], tf.int32)]
    )
    def logits(images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return logits_of(model(images, training=False), classes)

    def attribute(images: np.ndarray, classes: np.ndarray, baselines: np.ndarray) -> np.ndarray:
        images, classes = checked(images, classes, shape)
        baselines, _ = checked(baselines, classes, shape)
        whole = in_batches(logits, batch_size, images, classes)
        maps = np.zeros(images.shape[:3], "float64")
        covered = np.zeros(shape[:2], "int64")
        for top, left in corners:
            covered[top : top + height, left : left + width] += 1
        for map_, image, baseline, number, logit in zip(maps, images, baselines, classes, whole, strict=True):
            for start in range(0, len(corners), batch_size):
                part = corners[start : start + batch_size]
                losses = logit - hidden(image, baseline, number, part).numpy()
                for (top, left), loss in zip(part, losses, strict=True):
                    map_[top : top + height, left : left + width] += loss
        return (maps / covered).astype("float32")

    return attribute


def windows(side: int, window: Size, stride: Size) -> tuple[int, list[int]]:
    """Returns the window's length in pixels and where it begins, along a side of the image."""
    length, step = (_pixels(side, size) for size in (window, stride))
    if length > side or step > length:
        raise ValueError(
            f"window must be at most the image's side and stride at most the window. Received: window {window} and "
            f"stride {stride}, which are {length} and {step} pixels of {side}."
        )
    return length, sorted({*range(0, side - length, step), side - length})


def _pixels(side: int, size: Size) -> int:
    if not (size > 0 and (isinstance(size, int) or size <= 1)):
        raise ValueError(f"sizes must be pixels (int >= 1) or shares (float in (0, 1]). Received: {size}.")
    return size if isinstance(size, int) else max(1, round(size * side))
