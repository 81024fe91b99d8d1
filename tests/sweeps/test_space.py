"""What a command line spans: Hydra's grammar, values from files, conditions, and the order of a grid."""

import random
import re

import pytest
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from kerasdl.errors import ConfigError
from kerasdl.sweeps.space import Axis, Interval, names


def overrides(space):
    """Returns what each trial of a grid adds to what all share, as one line each."""
    return [" ".join(space.overrides(chosen)[len(space.fixed) :]) for chosen in space.grid()]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("seed=0,1,2", ["seed=0", "seed=1", "seed=2"]),
        ("seed=choice(2,0)", ["seed=2", "seed=0"]),
        ("model=cnn,image_classifier", ["model=cnn", "model=image_classifier"]),
        ("optimizer.learning_rate=0.1,1e-3", ["optimizer.learning_rate=0.1", "optimizer.learning_rate=0.001"]),
        ("tracking.run_name='a,b',\"it's\"", ["tracking.run_name='a,b'", 'tracking.run_name="it\'s"']),
        (r"tracking.run_name=a\,b,c", [r"tracking.run_name=a\,b", "tracking.run_name=c"]),
        ("model.filters=[10,20],[32]", ["model.filters=[10,20]", "model.filters=[32]"]),
        ("+x={a:1},{a:2}", ["+x={a:1}", "+x={a:2}"]),
        ("trainer.threads=null,1", ["trainer.threads=null", "trainer.threads=1"]),
        ("optimizer.nesterov=true,false", ["optimizer.nesterov=True", "optimizer.nesterov=False"]),
        ("seed=range(3)", ["seed=0", "seed=1", "seed=2"]),
        ("seed=range(1,7,2)", ["seed=1", "seed=3", "seed=5"]),
        ("seed=range(3,0,-1)", ["seed=3", "seed=2", "seed=1"]),
        ("seed=sort(range(1,4),reverse=true)", ["seed=3", "seed=2", "seed=1"]),
        ("model.dropout=range(0,0.31,0.1)", [f"model.dropout={value}" for value in (0.0, 0.1, 0.2, 0.3)]),
        ("model=glob([c*,i*])", ["model=cnn", "model=image_classifier"]),
        ("model=glob(*,exclude=[l*,mlp])", ["model=autoencoder", "model=cnn", "model=image_classifier"]),
        ("seed=sort(3,1,2)", ["seed=1", "seed=2", "seed=3"]),
        ("seed=tag(mine,choice(1,2))", ["seed=1", "seed=2"]),
        ("+tracking.tags.kind=a,b", ["+tracking.tags.kind=a", "+tracking.tags.kind=b"]),
        ("++tracking.tags.kind=a,b", ["++tracking.tags.kind=a", "++tracking.tags.kind=b"]),
        ("seed=1,1", ["seed=1"]),
    ],
)
def test_hydras_grammar_gives_a_grid_in_the_order_typed(read, typed, expected):
    assert overrides(read(typed)) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("x=interval(0,1)", FloatDistribution(0.0, 1.0)),
        ("x=tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("x=int(interval(1,10))", IntDistribution(1, 10)),
        ("x=int(tag(log,interval(1,100)))", IntDistribution(1, 100, log=True)),
        ("x=range(1,7,2)", IntDistribution(1, 5, step=2)),
        ("x=range(7,1,-2)", IntDistribution(3, 7, step=2)),
        ("x=tag(log,range(1,9))", IntDistribution(1, 8, log=True)),
        ("x=range(0,1,0.25)", FloatDistribution(0.0, 0.75, step=0.25)),
        ("x=32,64", CategoricalDistribution([32, 64])),
        ("x='a,b',[1,2],null,true", CategoricalDistribution(["a,b", "[1,2]", None, True])),
        ("model=glob(*)", CategoricalDistribution(["autoencoder", "cnn", "image_classifier", "layers", "mlp"])),
    ],
)
def test_a_sampler_is_given_the_matching_distribution(read, typed, expected):
    assert read(typed).axes[0].distribution() == expected


def test_a_grid_has_no_interval(read):
    space = read("seed=0,1", "optimizer.learning_rate=interval(0.1,1)")
    with pytest.raises(
        ConfigError, match=r"^optimizer\.learning_rate: a grid can't have an interval\. List .*sweep=tpe"
    ):
        list(space.grid())


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("x=interval(1,0)", "x=interval(1,0): an interval must start with its lower end."),
        ("x=interval(nan,1)", "x=interval(nan,1): an interval must start with its lower end."),
        ("x=tag(log,interval(0,1))", "a logarithmic interval must have ends > 0. Received: 0."),
        ("x=tag(log,range(1,9,2))", "a logarithmic range must have step 1. Received: 2."),
        ("model=glob(zzz*)", "model=glob(zzz*): nothing matches."),
        ("x=range(3,3)", "x=range(3,3): nothing matches."),
    ],
)
def test_values_that_are_none_are_refused_before_anything_runs(read, typed, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read(typed)


def test_what_hydra_cannot_read_is_hydras_error(read):
    with pytest.raises(OverrideParseException):
        read("seed=choice(")


def test_the_first_key_varies_slowest(read):
    space = read("optimizer=sgd,adam", "trainer.epochs=2", "seed=0,1")
    assert overrides(space) == [
        "optimizer=sgd seed=0",
        "optimizer=sgd seed=1",
        "optimizer=adam seed=0",
        "optimizer=adam seed=1",
    ]
    assert space.fixed == ("trainer.epochs=2",)
    assert [space.overrides(chosen)[0] for chosen in space.grid()] == ["trainer.epochs=2"] * 4


def test_nothing_swept_is_one_trial(read):
    space = read("model=cnn", "~callbacks.none")
    assert list(space.grid()) == [{}]
    assert space.overrides({}) == ["model=cnn", "~callbacks.none"]


def test_of_a_key_that_is_typed_twice_the_last_counts(read):
    assert overrides(read("seed=0,1", "seed=3,4")) == ["seed=3", "seed=4"]
    assert read("seed=0,1", "seed=5").fixed == ("seed=5",)
    assert list(read("seed=0,1", "seed=5").grid()) == [{}]
    assert overrides(read("seed=5", "seed=0,1")) == ["seed=0", "seed=1"]


def test_a_shuffle_is_the_same_each_time_and_another_with_another_seed(read):
    typed = ["seed=shuffle(range(20))", "model=shuffle(cnn,image_classifier,layers)"]
    first = overrides(read(*typed))
    assert first == overrides(read(*typed))
    assert sorted(first) == sorted(overrides(read("seed=range(20)", "model=cnn,image_classifier,layers")))
    assert first != overrides(read(*typed, seed=1))
    assert first[::3] != sorted(first[::3])


def test_a_shuffle_leaves_pythons_own_random_numbers_alone(read):
    random.seed(7)
    expected = random.random()
    random.seed(7)
    read("seed=shuffle(range(20))")
    assert random.random() == expected


def test_what_is_typed_wins_over_what_is_configured(read):
    configured = {"optimizer": "sgd,adam", "seed": "0,1", "trainer.epochs": 3}
    space = read("seed=7", "model=cnn,layers", space=configured)
    assert space.fixed == ("trainer.epochs=3", "seed=7")
    assert [axis.key for axis in space.axes] == ["optimizer", "model"]
    assert read("+seed=7", space=configured).fixed == ("trainer.epochs=3", "+seed=7")


@pytest.mark.parametrize(
    ("value", "fixed"),
    [(3, "x=3"), (0.5, "x=0.5"), (True, "x=True"), (None, "x=null"), ([1, 2], "x=[1,2]"), ({"a": 1}, "x={a:1}"),
     ("abc", "x=abc")],
)  # fmt: skip
def test_a_plain_value_of_a_file_is_fixed(read, value, fixed):
    assert read(space=OmegaConf.create({"x": value})).fixed == (fixed,)


def test_a_text_of_a_file_is_read_as_if_it_was_typed(read):
    space = read(space=OmegaConf.create({"optimizer.learning_rate": "tag(log, interval(1e-4, 1e-1))", "seed": "0, 1"}))
    assert space.axes[0].interval == Interval(1e-4, 1e-1, log=True)
    assert space.axes[1].choices == {"0": 0, "1": 1}


def test_a_condition_sweeps_a_key_only_where_it_holds(read):
    space = read("optimizer=sgd,adam", when={"optimizer=sgd": {"optimizer.momentum": "0.0,0.9"}})
    assert overrides(space) == [
        "optimizer=sgd optimizer.momentum=0.0",
        "optimizer=sgd optimizer.momentum=0.9",
        "optimizer=adam",
    ]


def test_a_condition_may_be_several(read):
    when = {"optimizer=sgd, model=cnn": {"model.dropout": "0.0,0.5"}}
    space = read("optimizer=sgd,adam", "model=cnn,layers", when=when)
    assert sum("dropout" in line for line in overrides(space)) == 2
    assert len(overrides(space)) == 5


def test_a_condition_may_be_of_a_key_that_is_fixed(read):
    when = {"optimizer=sgd": {"optimizer.momentum": "0.0,0.9"}}
    assert len(overrides(read("optimizer=sgd", when=when))) == 2
    assert len(overrides(read("optimizer=adam", when=when))) == 1
    assert len(overrides(read(when=when, space={"optimizer": "sgd"}))) == 2
    assert len(overrides(read("+kind=a", when={"kind=a": {"seed": "0,1"}}))) == 2


@pytest.mark.parametrize(
    ("typed", "condition"),
    [
        ("optimizer.learning_rate=0.01,0.1", "optimizer.learning_rate=1e-2"),
        ("optimizer.nesterov=true,false", "optimizer.nesterov=true"),
        ("optimizer.nesterov=True", "optimizer.nesterov=true"),
        ("trainer.threads=null,1", "trainer.threads=null"),
        ("tracking.run_name='a','b'", "tracking.run_name=a"),
    ],
)
def test_a_condition_compares_values_and_not_how_they_are_written(read, typed, condition):
    assert any("seed=7" in line for line in overrides(read(typed, when={condition: {"seed": "7,8"}})))


NESTED = {
    "optimizer=sgd": {"optimizer.momentum": "0.0,0.9"},
    "optimizer.momentum=0.9": {"optimizer.nesterov": "true,false"},
    "optimizer.nesterov=true": {"seed": 5},
}


@pytest.mark.parametrize("order", [list, lambda items: list(items)[::-1]], ids=["as it nests", "the other way round"])
def test_a_condition_may_hang_on_a_key_that_is_conditional_itself(read, order):
    space = read("optimizer=sgd,adam", when=dict(order(NESTED.items())))
    assert overrides(space) == [
        "optimizer=sgd optimizer.momentum=0.0",
        "optimizer=sgd optimizer.momentum=0.9 optimizer.nesterov=True seed=5",
        "optimizer=sgd optimizer.momentum=0.9 optimizer.nesterov=False",
        "optimizer=adam",
    ]


def test_conditions_in_a_circle_are_refused(read):
    with pytest.raises(ConfigError, match=r"^sweep\.when: a, b depend on each other\."):
        read(when={"a=1": {"b": "1,2"}, "b=1": {"a": "1,2"}})


def test_a_condition_that_nothing_decides_is_refused(read):
    """Silently it would never hold, even if the configuration's default fitted."""
    with pytest.raises(
        ConfigError, match=r"momentum depends on optimizer, which is neither .* value: optimizer=sgd\.$"
    ):
        read("seed=0,1", when={"optimizer=sgd": {"optimizer.momentum": "0.0,0.9"}})


@pytest.mark.parametrize("condition", ["sgd", "optimizer=", "=sgd", "optimizer=sgd,", "", "model=glob(*)", "a=(b"])
def test_a_condition_that_cannot_be_read_is_refused(read, condition):
    with pytest.raises(ConfigError, match=r"^sweep\.when: a condition must be key=value") as caught:
        read(when={condition: {"seed": "0,1"}})
    assert repr(condition) in str(caught.value)


def test_a_key_that_is_typed_is_swept_under_no_condition(read):
    when = {"optimizer=sgd": {"optimizer.momentum": "0.0,0.9"}}
    space = read("optimizer=sgd", "optimizer.momentum=0.5", when=when)
    assert (space.axes, space.fixed) == ((), ("optimizer=sgd", "optimizer.momentum=0.5"))


def test_a_key_has_other_values_under_another_condition(read):
    when = {"optimizer=sgd": {"model.filters": "[1],[2]"}, "optimizer=adam": {"model.filters": "[3]"}}
    space = read("optimizer=sgd,adam", when=when)
    assert overrides(space) == [
        "optimizer=sgd model.filters=[1]",
        "optimizer=sgd model.filters=[2]",
        "optimizer=adam model.filters=[3]",
    ]
    assert space.axes_of({"optimizer": "adam", "model.filters": "[3]"})["model.filters"] is space.axes[2]


def test_of_two_conditions_that_hold_the_first_decides(read):
    when = {"optimizer=sgd": {"model.dropout": "0.1"}, "model=cnn": {"model.dropout": "0.2,0.3"}}
    assert overrides(read("optimizer=sgd", "model=cnn,layers", when=when)) == [
        "model=cnn model.dropout=0.1",
        "model=layers model.dropout=0.1",
    ]


def test_values_come_back_from_a_storage_as_they_were_typed(read):
    """Also those of a key that isn't swept any more: a trial that waits is still that trial."""
    space = read("tracking.run_name='a b',c", "model.filters=[1,2],[3]")
    chosen = {"tracking.run_name": "a b", "model.filters": "[1,2]"}
    assert space.overrides(chosen) == ["tracking.run_name='a b'", "model.filters=[1,2]"]
    assert read().overrides({**chosen, "a": None, "b": True, "c": 0.1, "+d": "x y", "e": "cnn"}) == [
        "tracking.run_name='a b'", "model.filters=[1,2]", "a=null", "b=true", "c=0.1", "+d='x y'", "e=cnn",
    ]  # fmt: skip


def test_what_a_sampler_draws_in_steps_is_what_somebody_would_type(read):
    axis = read("model.dropout=range(0,1,0.1)").axes[0]
    assert axis.rounded(0.1 + 2 * 0.1) == 0.3
    assert read("x=interval(0,1)").axes[0].rounded(0.1 + 2 * 0.1) != 0.3
    assert read("x=1,2").axes[0].rounded(2) == 2


def test_names_of_keys_have_no_prefix(read):
    space = read("+tracking.tags.kind=a,b", "seed=0,1")
    assert space.by_name({"+tracking.tags.kind": "a", "seed": 1}) == {"tracking.tags.kind": "a", "seed": 1}
    assert names(space.axes) == ["kind", "seed"]


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        (Axis("x", {"0.1": 0.1, "a": "a"}), "0.1, a"),
        (Axis("x", {}, Interval(1e-4, 0.1, log=True)), "0.0001 to 0.1, log"),
        (Axis("x", {"1": 1, "3": 3}, Interval(1, 3, 2)), "1 to 3 in steps of 2"),
        (Axis("x", {"0.1": 0.1}, when={"optimizer": "sgd", "y": True}), "0.1 (when optimizer=sgd, y=true)"),
    ],
)
def test_an_axis_in_words(axis, words):
    assert axis.describe() == words
