"""Augmentation of training batches: in the graph, without state, a function of the images and a seed.

The geometric changes are composed into one projective transform a batch, so that an image is resampled once.
"""

import math
from typing import Any

import tensorflow as tf


class Augmentation:
    """Random changes of a batch of images; false as a boolean if all of them are off.

    Each image has its own random numbers; the same seed and batch give the same result.

    Args:
        config: `data.augmentation`: `shift`, `crop`, `flip`, `rotation`, `zoom` and `cutout`, as conf/base/data.yaml
            explains them; their ranges are checked by `kerasdl.config.checks`.

    Example:
        >>> augment = Augmentation(config.data.augmentation)
        >>> images = augment(images, seed=tf.constant([run_seed, step]))
    """

    def __init__(self, config: Any) -> None:
        self._shift = float(config.shift)
        self._crop = int(config.crop)
        self._flip = bool(config.flip)
        self._rotation = math.radians(config.rotation)
        self._zoom = float(config.zoom)
        self._cutout = int(config.cutout)

    def __bool__(self) -> bool:
        return bool(self._geometric or self._cutout)

    @property
    def _geometric(self) -> bool:
        return bool(self._shift or self._crop or self._flip or self._rotation or self._zoom)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the changed images.

        Args:
            images: float32 [b, height, width, channels], 0..255.
            seed: int32 [2]; a different one for every step.

        Returns:
            float32, same shape and range. Areas from outside the original image are black (0).
        """
        # A seed for each change, on or off: switching one on doesn't change the random numbers of the others.
        shift, crop, flip, rotation, zoom, cutout = tf.unstack(tf.random.experimental.stateless_split(seed, 6))
        if self._geometric:
            images = _transform(images, self._matrices(images, shift, crop, flip, rotation, zoom))
        if self._cutout:
            images = _cut_out(images, self._cutout, cutout)
        return images

    def _matrices(self, images: tf.Tensor, *seeds: tf.Tensor) -> tf.Tensor:
        """Returns float32 [b, 2, 3]: from a pixel (x, y, 1) of the result to its position in the image."""
        shift, crop, flip, rotation, zoom = seeds
        count = tf.shape(images)[0]
        size = tf.cast(tf.stack([tf.shape(images)[2], tf.shape(images)[1]]), tf.float32)  # width, height
        centre = (size - 1) / 2

        angle = _uniform([count], rotation, self._rotation)
        shrink = 1 / (1 + _uniform([count], zoom, self._zoom))
        mirror = tf.ones([count])
        if self._flip:
            mirror -= 2 * tf.cast(tf.random.stateless_uniform([count], flip) < 0.5, tf.float32)
        cos, sin = tf.cos(angle) * shrink, tf.sin(angle) * shrink
        linear = tf.stack([tf.stack([cos * mirror, -sin], 1), tf.stack([sin * mirror, cos], 1)], 1)

        offset = _uniform([count, 2], shift, self._shift) * size
        if self._crop:  # padding with zeros and a crop of the old size amount to a shift by whole pixels
            moves = tf.random.stateless_uniform([count, 2], crop, -self._crop, self._crop + 1, tf.int32)
            offset += tf.cast(moves, tf.float32)
        origin = centre - tf.linalg.matvec(linear, tf.broadcast_to(centre, [count, 2])) + offset
        return tf.concat([linear, origin[:, :, None]], axis=2)


def _uniform(shape: list[Any], seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Returns float32 in [-strength, strength); constant zeros, which cost nothing in the graph, if it is off."""
    if not strength:
        return tf.zeros(shape)
    return tf.random.stateless_uniform(shape, seed, -strength, strength)


def _transform(images: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    affine = tf.reshape(matrices, [-1, 6])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.concat([affine, tf.zeros([tf.shape(affine)[0], 2])], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _cut_out(images: tf.Tensor, side: int, seed: tf.Tensor) -> tf.Tensor:
    """Blackens a square whose centre is anywhere in the image; part of it may lie outside (DeVries and Taylor 2017)."""
    count, height, width = tf.unstack(tf.shape(images)[:3])
    rows, columns = tf.unstack(tf.random.experimental.stateless_split(seed, 2))

    def hit(extent: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        begin = tf.random.stateless_uniform([count], seed, 0, extent, tf.int32) - side // 2
        distance = tf.range(extent)[None, :] - begin[:, None]
        return (distance >= 0) & (distance < side)

    inside = hit(height, rows)[:, :, None] & hit(width, columns)[:, None, :]
    return tf.where(inside[..., None], 0.0, images)
