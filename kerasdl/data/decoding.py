"""Reads encoded examples of a prepared TFDS set in a given order, and decodes them: shared by memory and streaming.

Both ways go through `encoded` and `decoder`, so that a batch has the same pixels wherever it comes from.
"""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_datasets as tfds

from kerasdl.data.catalog import Entry, Segment

# Raise it with every change that gives other pixels or labels: examples that are kept decoded are those of one version.
VERSION = 1
# What TensorFlow raises for an example that is damaged, or whose image isn't what its data set says.
UNREADABLE = (tf.errors.InvalidArgumentError, tf.errors.DataLossError)


def encoded(entry: Entry, segments: Sequence[Segment]) -> tf.data.Dataset:
    """Returns (encoded image: string scalar, label: int64 scalar) of the examples of `segments`, in that very order."""
    instruction = None
    for segment in segments:
        part = tfds.core.ReadInstruction(segment.split, from_=segment.start, to=segment.stop, unit="abs")
        instruction = part if instruction is None else instruction + part
    read_config = tfds.ReadConfig(
        try_autocache=False,
        skip_prefetch=True,
        interleave_cycle_length=1,  # one file after the other: the order of the segments is the order of examples
        interleave_block_length=1,
    )
    examples = entry.builder.as_dataset(
        split=instruction,
        shuffle_files=False,
        read_config=read_config,
        decoders=tfds.decode.PartialDecoding(
            {entry.image_key: True, entry.label_key: True}, decoders={entry.image_key: tfds.decode.SkipDecoding()}
        ),
    )

    @tf.autograph.experimental.do_not_convert
    def pair(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return example[entry.image_key], example[entry.label_key]

    return examples.map(pair)


def decoder(entry: Entry) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function from an encoded image to uint8 [height, width, channels], resized if the set asks for it.

    It is what TFDS does for an `Image`, with the channels of `entry.info.image_shape` also where the set's vary, and
    with the first frame of an animation.
    """
    height, width, channels = entry.info.image_shape

    def decode(data: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(data, channels, tf.uint8, expand_animations=False)
        if entry.resized:
            image = tf.image.resize(image, (height, width), method="bilinear", antialias=True)
            image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
        return tf.ensure_shape(image, (height, width, channels))

    return decode


def reason(error: tf.errors.OpError) -> str:
    """Returns what is wrong with an example in TensorFlow's words, without the names of its nodes."""
    return re.sub(r"{{.*?}}\s*", "", error.message).splitlines()[0]
