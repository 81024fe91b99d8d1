import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.features import Features, image, label, number
from kerasdl.data.order import WholeOrder
from kerasdl.data.resident import Column, ResidentSplit


@pytest.mark.parametrize("shape", [(4, 4, 1), (3, 5, 3), (1, 1, 1)], ids=str)
def test_examples_come_back_as_they_were_whatever_the_size_of_their_images(shape):
    images = np.random.default_rng(0).integers(0, 256, (7, *shape), dtype=np.uint8)
    features = Features({"image": image(*shape)}, {"label": label("abcdefg")}, {"weight": number()})
    values = {"image": images, "label": np.arange(7), "weight": np.arange(7, dtype=np.float32) / 4}
    columns = {name: Column.of(features.all[name], values[name]) for name in values}
    split = ResidentSplit("train", features, columns, WholeOrder(np.arange(7), 0, shuffle=False), batch_size=3)
    batch = tf.function(split.batch, autograph=False)
    parts = [batch(split.epoch(0), tf.constant(step)) for step in range(split.steps)]
    assert [len(part["image"]) for part in parts] == [3, 3, 1]
    for name, expected in values.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), expected, strict=True)
    assert parts[0]["image"].dtype == tf.uint8
