import numpy as np
import pytest

STREAM = {"memory_budget": "0", "shuffle_window": 90}


def assert_same(first, second):
    assert len(first) == len(second)
    for (images, labels), (other_images, other_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_without_shuffling_streamed_batches_are_the_ones_from_memory(load, batches, split):
    resident = load(shuffle=False, evaluation_batch_size=64)
    streamed = load(shuffle=False, evaluation_batch_size=64, memory_budget="0")
    assert (resident.resident, streamed.resident) == (True, False)
    assert_same(batches(getattr(resident, split)), batches(getattr(streamed, split)))


def test_shuffled_batches_hold_what_their_indices_say(load, batches):
    natural = batches(load(validation=0, shuffle=False, batch_size=2000).train)[0]
    train = load(**STREAM).train
    for epoch in (0, 1):
        read = batches(train, epoch)
        assert sum(len(labels) for _, labels in read) == train.size == 1293
        for step, (images, labels) in enumerate(read):
            np.testing.assert_array_equal(images, natural[0][train.indices(epoch, step)])
            np.testing.assert_array_equal(labels, natural[1][train.indices(epoch, step)])


@pytest.mark.parametrize("start", [1, 9, 20])
def test_starting_at_a_step_gives_what_running_there_gives(load, batches, start):
    train = load(**STREAM).train
    assert_same(batches(train, 2, start), batches(train, 2)[start:])
    fixed = load(evaluation_batch_size=10, **STREAM).test
    assert_same(batches(fixed, 0, start), batches(fixed, 0)[start:])


def test_epochs_and_seeds_differ_and_repeat(load):
    train, again, other = load(**STREAM).train, load(**STREAM).train, load(seed=1, **STREAM).train
    np.testing.assert_array_equal(train.indices(1, 3), again.indices(1, 3))
    assert not np.array_equal(train.indices(0, 3), train.indices(1, 3))
    assert not np.array_equal(train.indices(0, 3), other.indices(0, 3))


def test_what_is_skipped_is_not_decoded(load, monkeypatch):
    import tensorflow as tf

    from kerasdl.data.tfds import Tfds

    decoded = tf.Variable(0)
    plain = Tfds.decode

    def counting(self, stored):
        decoded.assign_add(1)
        return plain(self, stored)

    monkeypatch.setattr(Tfds, "decode", counting)
    train = load(**STREAM).train
    handle = train.epoch(0, train.steps - 2)
    total = sum(len(train.batch(handle, step)["label"]) for step in (train.steps - 2, train.steps - 1))
    assert int(decoded) == total == 64 + 13


def test_images_of_varying_size_in_several_files_are_the_same_from_memory_and_from_disk(load, batches, sharded):
    keys = {"name": sharded, "image_size": [8, 8], "test_split": None, "batch_size": 50}
    assert load(**keys).info.features.inputs["image"].shape == (8, 8, 3)
    assert_same(
        batches(load(shuffle=False, **keys).train), batches(load(shuffle=False, memory_budget="0", **keys).train)
    )
    natural = batches(load(shuffle=False, validation=0, **{**keys, "batch_size": 500}).train)[0][0]
    train = load(memory_budget="0", shuffle_window=60, **keys).train
    for step, (images, _) in enumerate(batches(train, 1)):
        np.testing.assert_array_equal(images, natural[train.indices(1, step)])


def test_slices_and_sums_of_splits_are_read_in_order(load, batches):
    keys = {
        "train_split": "test[300:]+train[1400:]+train[10:50]",
        "test_split": None,
        "validation": 0,
        "shuffle": False,
    }
    assert_same(batches(load(**keys).train), batches(load(memory_budget="0", **keys).train))
    shuffled = load(memory_budget="0", **{**keys, "shuffle": True, "shuffle_window": 20, "batch_size": 32}).train
    natural = batches(load(**{**keys, "batch_size": 500}).train)[0][0]
    for step, (images, _) in enumerate(batches(shuffled)):
        np.testing.assert_array_equal(images, natural[shuffled.indices(0, step)])
