"""A callback that is restored decides as one that was never interrupted."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.training import callback_state
from kerasdl.training.callbacks import BestModel
from kerasdl.training.checkpoint_file import Snapshot, read, write

# Around differences of 0.1, which `min_delta` tells apart, with a plateau longer than any patience below.
LOSSES = [1.0, 0.95, 0.85, 0.84, 0.8, 0.6, 0.55, 0.52, 0.53, 0.51, 0.7, 0.52, 0.3, 0.9]


class Watched:
    """A callback in a training that consists of a series of losses, and what can be seen from outside."""

    def __init__(self, make):
        self.model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        self.model.compile(keras.optimizers.SGD(0.5))
        self.model.stop_training = False
        self.callback = make()
        self.callback.set_model(self.model)
        self.callback.on_train_begin()

    def epoch(self, number):
        self.model.set_weights([np.full((2, 1), number), np.full(1, number)])  # tells epochs apart
        self.callback.on_epoch_begin(number)
        for batch in range(7):
            self.callback.on_train_batch_begin(batch)
            self.callback.on_train_batch_end(batch, {"loss": 2.0})
        self.callback.on_epoch_end(number, {"val_loss": LOSSES[number], "val_accuracy": 1 - LOSSES[number]})
        return self.seen()

    def end(self):
        self.callback.on_train_end()
        return [self.seen(), *self.model.get_weights()]

    def seen(self):
        return bool(self.model.stop_training), float(self.model.optimizer.learning_rate)

    def state(self):
        """What the training's own state would hold."""
        return (*callback_state.capture(self.callback, "callbacks/0"), self.model.get_weights(), self.seen())

    def go_on_from(self, state, tmp_path):
        arrays, values, weights, (stop, rate) = state
        write(tmp_path / "step.npz", Snapshot(arrays, {"step": 0, "state": values}))
        back = read(tmp_path / "step.npz")
        callback_state.restore(self.callback, back.arrays, back.values["state"])
        self.model.set_weights(weights)
        self.model.stop_training, self.model.optimizer.learning_rate = stop, rate


def assert_same(one, other):
    np.testing.assert_equal(one[1], other[1])
    assert one[0].keys() == other[0].keys()
    for name, array in one[0].items():
        np.testing.assert_array_equal(array, other[0][name], name, strict=True)


early_stopping = functools.partial(keras.callbacks.EarlyStopping, restore_best_weights=True, min_delta=0.1)
reduce = functools.partial(keras.callbacks.ReduceLROnPlateau, factor=0.5, patience=2, min_delta=0.1)


@pytest.mark.parametrize(
    "make",
    [
        functools.partial(early_stopping, mode="min", patience=3),
        functools.partial(early_stopping, mode="auto", patience=4, baseline=0.5, start_from_epoch=2),
        functools.partial(early_stopping, monitor="val_accuracy", mode="max", patience=3),
        functools.partial(reduce, mode="min"),
        functools.partial(reduce, monitor="val_accuracy", mode="max", cooldown=2, min_lr=0.1),
        functools.partial(BestModel, mode="max"),
        functools.partial(BestModel, monitor="val_loss", mode="min"),
    ],
    ids=lambda make: f"{make.func.__name__}-{make.keywords['mode']}",
)
def test_it_goes_on_with_the_same_decisions_from_every_epoch(make, tmp_path):
    whole = Watched(make)
    states, decisions = [whole.state()], []
    for number in range(len(LOSSES)):
        decisions.append(whole.epoch(number))
        states.append(whole.state())
    ended = whole.end()
    if not isinstance(whole.callback, BestModel):
        assert len(set(decisions)) > 1  # it decided something
    for cut in range(len(LOSSES) + 1):
        cut_short = Watched(make)
        cut_short.go_on_from(states[cut], tmp_path)
        assert_same(states[cut], cut_short.state())
        for number in range(cut, len(LOSSES)):
            assert cut_short.epoch(number) == decisions[number], (cut, number)
            assert_same(states[number + 1], cut_short.state())
        for expected, value in zip(ended, cut_short.end(), strict=True):
            np.testing.assert_array_equal(expected, value)


@pytest.mark.parametrize("choice", [{"save_best_only": True, "mode": "min"}, {"save_freq": 5}], ids=str)
def test_model_checkpoint_saves_at_the_same_times(tmp_path, monkeypatch, choice):
    saved = []
    monkeypatch.setattr(keras.Model, "save_weights", lambda model, path, **_: saved.append(path))

    def make(folder="first"):
        path = tmp_path / folder / "{epoch}.weights.h5"
        return keras.callbacks.ModelCheckpoint(path, save_weights_only=True, **choice)

    whole, states = Watched(make), []
    for number in range(len(LOSSES)):
        states.append((whole.state(), len(saved)))
        whole.epoch(number)
    expected = saved.copy()
    assert 1 < len(expected) < 7 * len(LOSSES) / 4
    for cut, (state, before) in enumerate(states):
        saved.clear()
        second = Watched(functools.partial(make, "second"))
        second.go_on_from(state, tmp_path)
        for number in range(cut, len(LOSSES)):
            second.epoch(number)
        # At the same times, and to where the configuration says now.
        assert saved == [path.replace("/first/", "/second/") for path in expected[before:]], cut


class Custom(keras.callbacks.Callback):
    """Remembers all kinds of things, as callbacks of a user's own do."""

    def __init__(self):
        super().__init__()
        self.plain = {"none": None, "yes": True, "whole": 1, "real": 0.1, "text": "a", "least": float("-inf")}
        self.nested = [1, (2.0, [np.arange(3), {"deep": (np.float32(0.1), None)}]), []]
        self.scalars = (np.int64(2**62), np.bool_(True), np.float64(1 / 3), np.array(5, np.uint8))
        self.array = np.zeros((2, 0), np.int16)
        self.tensor = tf.constant([1.0, 2.0])
        self.variable = tf.Variable([1, 2])
        self.weights = {"kernel": keras.Variable([[0.5]]), "half": tf.Variable([1.5], dtype=tf.bfloat16)}
        self.wrapped = keras.ops.greater
        self.empty = ({}, (), [])
        self.nobody = None


def copied(arrays, values):
    return {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(values))


def test_everything_that_is_data_comes_back():
    first = Custom()
    first.plain["whole"] = 2**70
    first.nested[1][1][0][:] = 7
    first.variable.assign([3, 4])
    first.weights["kernel"].assign([[0.25]])
    first.weights["half"].assign([-2.0])
    first.wrapped = keras.ops.less
    first.nobody = np.nan
    arrays, values = copied(*callback_state.capture(first, "callbacks/3"))
    assert all(name.startswith("callbacks/3/") for name in arrays)
    second = Custom()
    variables = second.variable, second.weights["kernel"], second.weights["half"]
    callback_state.restore(second, arrays, values)
    assert second.plain == first.plain
    assert [type(value) for value in second.plain.values()] == [type(value) for value in first.plain.values()]
    np.testing.assert_equal(second.nested, first.nested)
    assert type(second.nested[1]) is tuple
    assert second.nested[1][1][1]["deep"][0].dtype == np.float32
    assert second.scalars == first.scalars
    assert second.array.shape == (2, 0)
    assert second.array.dtype == np.int16
    np.testing.assert_array_equal(second.tensor, [1, 2])
    # Variables are the same objects, which compiled code may hold, with the values of the first.
    assert variables[0] is second.variable
    assert variables[1] is second.weights["kernel"]
    assert variables[2] is second.weights["half"]
    assert [np.array(variable).tolist() for variable in variables] == [[3, 4], [[0.25]], [-2.0]]
    assert second.wrapped is keras.ops.less
    assert second.empty == ({}, (), [])
    assert np.isnan(second.nobody)


def test_what_was_captured_is_a_copy():
    callback = Custom()
    arrays, values = callback_state.capture(callback, "callbacks/0")
    before = copied(arrays, values)
    callback.nested[1][1][0][:] = 9
    callback.nested[2].append("more")
    callback.plain["more"] = 1
    callback.variable.assign([8, 9])
    assert_same(before, (arrays, values))


class Holding(keras.callbacks.Callback):
    """Holds what no file can keep, each in its own attribute, and one number."""

    def __init__(self, file):
        super().__init__()
        self.count = 0
        self.file = file
        self.function = lambda: None
        self.kind = dict
        self.module = np
        self.objects = np.array([object()])
        self.some = [1, 2, lambda: None]
        self.by_number = {1: "one"}
        self.deep = {"a": [np.zeros(2), {"b": object()}]}
        self.mixed = {1, 2}


def test_what_is_no_data_is_left_out_and_stays_as_it_is(tmp_path):
    with open(tmp_path / "first", "w") as one, open(tmp_path / "second", "w") as other:
        first, second = Holding(one), Holding(other)
        first.count = 5
        arrays, values = callback_state.capture(first, "callbacks/0")
        assert (arrays, values) == ({}, {"count": 5})
        own = dict(vars(second))
        callback_state.restore(second, arrays, values)
        assert {**own, "count": 5} == vars(second)


def test_the_model_is_not_part_of_a_callback():
    watched = Watched(functools.partial(BestModel, mode="max"))
    watched.callback.set_params({"epochs": 3})
    assert set(watched.state()[1]) == {"monitor", "mode", "best", "best_epoch", "_best_weights"}


def test_nothing_is_executed_on_restoring(tmp_path, monkeypatch):
    """Neither what a file names nor what looks like code: unknown forms are refused, known ones are data."""
    trace = tmp_path / "trace"
    text = f"open({str(trace)!r}, 'w')"
    callback = Custom()
    callback_state.restore(callback, {}, {"plain": text, "nobody": {"dict": {"__reduce__": text, "_target_": "os"}}})
    assert callback.plain == text
    assert callback.nobody == {"__reduce__": text, "_target_": "os"}
    for unknown in ("os.system", "__import__", "less.__globals__"):
        with pytest.raises(KeyError):
            callback_state.restore(callback, {}, {"wrapped": {"comparison": unknown}})
    assert callback.wrapped is keras.ops.greater
    assert not trace.exists()


def test_a_forged_state_replaces_no_method_and_moves_no_file(tmp_path):
    callback = keras.callbacks.ModelCheckpoint(tmp_path / "own.keras")
    callback_state.restore(callback, {}, {"filepath": "/elsewhere.keras", "on_epoch_end": "gone", "best": 3.0})
    assert callback.filepath == str(tmp_path / "own.keras")
    assert callable(callback.on_epoch_end)
    assert callback.best == 3.0
