import subprocess
import sys

import numpy as np
import pytest

from kerasdl.errors import ConfigError, DataError


def test_importing_the_package_imports_neither_tensorflow_nor_tfds():
    code = "import sys, kerasdl.data; print(sorted({'tensorflow', 'tensorflow_datasets', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_digits_load_into_memory(load):
    digits = load(validation=0.1)
    assert digits.resident
    assert (digits.train.size, digits.validation.size, digits.test.size) == (1293, 144, 360)
    assert digits.info.features == digits.train.features
    assert digits.info.features.inputs["image"].shape == (8, 8, 1)
    assert digits.info.features.targets["label"].names == tuple("0123456789")
    assert digits.info.fingerprint.startswith("sha256-")
    assert digits.describe() == (
        "digits 1.0.0: 1,293 train, 144 validation, 360 test, 8x8x1, 10 classes, in memory (0.1 MB)"
    )


def test_digits_are_scikit_learns(load, batches):
    from sklearn.datasets import load_digits

    digits = load(validation=0, shuffle=False)
    ours = [image.tobytes() for split in (digits.train, digits.test) for part, _ in batches(split) for image in part]
    source = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    assert sorted(ours) == sorted(image.tobytes() for image in source)
    train, test = (np.bincount(split.column("label")) for split in (digits.train, digits.test))
    shares = test / (train + test)
    np.testing.assert_allclose(shares, 360 / 1797, atol=0.01)


def test_batches_hold_what_their_indices_say_and_the_last_is_partial(load, batches):
    natural = batches(load(validation=0, shuffle=False, batch_size=2000).train)[0]
    train = load(batch_size=100).train
    read = batches(train, epoch=1)
    assert [len(labels) for _, labels in read] == [100] * 12 + [93]
    assert read[0][0].dtype == np.uint8
    assert read[0][1].dtype == np.int64
    for step, (images, labels) in enumerate(read):
        indices = train.indices(1, step)
        np.testing.assert_array_equal(images, natural[0][indices])
        np.testing.assert_array_equal(labels, natural[1][indices])


def test_every_training_example_comes_once_an_epoch_and_no_validation_example(load):
    digits = load(validation=200, batch_size=64)
    train = np.concatenate([digits.train.indices(3, step) for step in range(digits.train.steps)])
    validation = np.concatenate([digits.validation.indices(3, step) for step in range(digits.validation.steps)])
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(1437))


def test_the_seed_decides_order_and_validation(load):
    first, again, other = load(seed=1), load(seed=1), load(seed=2)
    np.testing.assert_array_equal(first.train.indices(0, 0), again.train.indices(0, 0))
    assert not np.array_equal(first.train.indices(0, 0), other.train.indices(0, 0))
    assert not np.array_equal(first.validation.indices(0, 0), other.validation.indices(0, 0))


def test_evaluation_splits_keep_their_order(load):
    digits = load(evaluation_batch_size=50)
    for split in (digits.validation, digits.test):
        assert split.batch_size == 50
        np.testing.assert_array_equal(split.indices(0, 1), split.indices(7, 1))
        assert (np.diff(split.indices(0, 0)) > 0).all()


def test_a_new_epoch_does_not_trace_again(load):
    import tensorflow as tf

    for keys in ({}, {"memory_budget": "0"}):
        train = load(**keys).train
        batch = tf.function(train.batch)
        for epoch in range(3):
            batch(train.epoch(epoch), tf.constant(0, tf.int64))
        assert batch.experimental_get_tracing_count() == 1
        given = tf.function(train.batch, input_signature=[train.handle_spec, tf.TensorSpec([], tf.int64)])
        assert given(train.epoch(0), tf.constant(0, tf.int64))["image"].shape == (64, 8, 8, 1)


def test_validation_may_be_a_split_of_its_own(load):
    digits = load(train_split="train[:1000]", validation="train[1000:]", test_split=None)
    assert (digits.train.size, digits.validation.size, digits.test) == (1000, 437, None)


def test_validation_may_be_the_training_split_itself_and_is_then_the_same_batches(load):
    digits = load(validation="train", batches=2, batch_size=50, evaluation_batch_size=50)
    assert (digits.train.size, digits.validation.size, digits.test.size) == (100, 100, 100)
    np.testing.assert_array_equal(np.sort(digits.train.indices(0, 0)) < 100, True)
    np.testing.assert_array_equal(digits.validation.indices(0, 1), np.arange(50, 100))


def test_no_validation(load):
    assert load(validation=0).validation is None


def test_a_fraction_of_each_split(load):
    digits = load(fraction=0.1)
    assert (digits.train.size, digits.validation.size, digits.test.size) == (130, 15, 36)


def test_a_column_has_the_values_of_the_split_as_they_are_stored(load, batches):
    for keys in ({}, {"memory_budget": "0"}):
        train, natural = (load(shuffle=shuffle, **keys).train for shuffle in (True, False))
        labels = np.concatenate([labels for _, labels in batches(natural)])
        np.testing.assert_array_equal(train.column("label"), labels)
        np.testing.assert_array_equal(natural.column("label"), labels)


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        (
            {"test_split": "tset"},
            DataError,
            r"data\.test_split must be a split of digits/1\.0\.0, which has train \(1,437\)",
        ),
        ({"train_split": "train[9000:]"}, DataError, r"data\.train_split must be .*Requested slice \[9000:1437\]"),
        ({"train_split": "train["}, DataError, r"data\.train_split must be .*'train\['"),
        ({"train_split": "train[:0]"}, DataError, r"data\.train_split selects no examples"),
        ({"test_split": "train[80%:]"}, ConfigError, r"data\.train_split and data\.test_split must not share examples"),
        ({"validation": "test"}, ConfigError, r"data\.validation and data\.test_split must not share examples"),
        ({"validation": 1437}, ConfigError, r"data\.validation must be .* Received: 1437"),
        ({"memory_budget": "lots"}, ConfigError, r"data\.memory_budget must be"),
    ],
)
def test_splits_that_cannot_be_are_refused_by_check(load, configure, keys, error, words):
    from kerasdl import data

    load()
    with pytest.raises(error, match=words):
        data.check(configure(**keys))


def test_hidden_labels_are_refused(load, sharded):
    with pytest.raises(DataError, match=r"split 'hidden' of varying_sizes .* 0\.\.2\. Received: -1\.\.-1 in 'label'"):
        load(name=sharded, image_size=[8, 8], test_split="hidden")
