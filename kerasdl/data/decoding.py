"""Reads encoded examples of a prepared TFDS data set in a given order, and decodes them.

Data in memory and streamed data both use `encoded` and `decode_image`, so that a batch has the same pixels either way.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_datasets as tfds

from kerasdl.data.source import Example, Segment

if TYPE_CHECKING:
    from kerasdl.data.tfds import Tfds

# Increase it with every change of pixels or labels: decoded examples on disk are those of one version.
VERSION = 1
# TensorFlow's errors for an example that is damaged, or whose image doesn't match the data set's metadata.
UNREADABLE = (tf.errors.InvalidArgumentError, tf.errors.DataLossError)


def encoded(source: "Tfds", segments: Sequence[Segment]) -> tf.data.Dataset:
    """Returns the examples of `segments`, in that order: `image` encoded, a string, and `label` int64, if any."""
    instruction = None
    for segment in segments:
        part = tfds.core.ReadInstruction(segment.split, from_=segment.start, to=segment.stop, unit="abs")
        instruction = part if instruction is None else instruction + part
    read_config = tfds.ReadConfig(
        try_autocache=False,
        skip_prefetch=True,
        interleave_cycle_length=1,  # one file after the other keeps the order of the segments
        interleave_block_length=1,
    )
    keys = {"image": source.image_key} | ({"label": source.label_key} if source.label_key else {})
    examples = source.builder.as_dataset(
        split=instruction,
        shuffle_files=False,
        read_config=read_config,
        decoders=tfds.decode.PartialDecoding(
            {key: True for key in keys.values()}, decoders={source.image_key: tfds.decode.SkipDecoding()}
        ),
    )

    @tf.autograph.experimental.do_not_convert
    def renamed(example: Example) -> Example:
        return {name: example[key] for name, key in keys.items()}

    return examples.map(renamed)


def decode_image(source: "Tfds", data: tf.Tensor) -> tf.Tensor:
    """Returns an encoded image as uint8 [height, width, channels], resized if `data.image_size` says so.

    As TFDS decodes an `Image`, but always with the channels of the features, also where those of the files vary, and
    with the first frame of an animation.
    """
    height, width, channels = source.info.features.inputs["image"].shape
    pixels = tf.io.decode_image(data, channels, tf.uint8, expand_animations=False)
    if source.resized:
        pixels = tf.image.resize(pixels, (height, width), method="bilinear", antialias=True)
        pixels = tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
    return tf.ensure_shape(pixels, (height, width, channels))


def reason(error: tf.errors.OpError) -> str:
    """Returns TensorFlow's message on an example, without the names of its nodes."""
    return re.sub(r"{{.*?}}\s*", "", error.message).splitlines()[0]
