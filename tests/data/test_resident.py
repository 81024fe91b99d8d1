import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.order import WholeOrder
from kerasdl.data.resident import ResidentSplit, pack


@pytest.mark.parametrize("shape", [(4, 4, 1), (3, 5, 3), (1, 1, 1)], ids=str)
def test_images_come_back_as_they_were_whatever_their_size(shape):
    images = np.random.default_rng(0).integers(0, 256, (7, *shape), dtype=np.uint8)
    labels = tf.range(7, dtype=tf.int64)
    order = WholeOrder(np.arange(7), 0, shuffle=False)
    split = ResidentSplit("train", pack(images), labels, order, image_shape=shape, batch_size=3, classes=7)
    batch = tf.function(split.batch, autograph=False)
    parts = [batch(split.epoch(0), tf.constant(step)) for step in range(split.steps)]
    assert [len(part) for part, _ in parts] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), images)
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), np.arange(7))
    assert parts[0][0].dtype == tf.uint8
