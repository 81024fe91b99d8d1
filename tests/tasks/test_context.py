"""What a task is given by its context: networks, optimizers and random numbers, by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.data.features import Features, image, number
from kerasdl.data.preprocessing import Standardization
from kerasdl.errors import ConfigError
from kerasdl.tasks.context import TaskContext

DIGITS = Features({"image": image(8, 8, 1)})
SMALL = {"_target_": "kerasdl.models.image_classifier", "filters": [2], "kernel_sizes": [3], "dense_units": 4}
WIDE = {**SMALL, "dense_units": 6}
SGD = {"_target_": "keras.optimizers.SGD", "learning_rate": 0.1}
ADAM = {"_target_": "keras.optimizers.Adam", "learning_rate": 0.2}


@pytest.fixture(scope="module")
def composed():
    return compose(["data=digits", "model=image_classifier"])


@pytest.fixture
def context(composed):
    """Makes the context of a configuration with some of its groups replaced."""

    def make(features=DIGITS, fitted=None, optimizes=None, seed=0, precision="float32", **groups):
        conf = OmegaConf.create(OmegaConf.to_container(composed))
        conf.seed, conf.trainer.precision = seed, precision
        for name, node in groups.items():
            conf[name] = node
        return TaskContext(conf, features, fitted or {}, optimizes=optimizes)

    return make


def weights(network):
    return np.concatenate([np.ravel(weight) for weight in network.get_weights()])


def test_a_role_takes_its_own_network_of_the_configuration(context):
    found = context(model={"encoder": SMALL, "decoder": WIDE})
    assert [found.network(role, classes=3).get_layer("dense").units for role in ("encoder", "decoder")] == [4, 6]


def test_a_configuration_of_one_network_is_every_roles(context):
    found = context(model=SMALL)
    student, teacher = found.network("student", classes=3), found.network("teacher", classes=3)
    assert student is not teacher
    np.testing.assert_array_equal(weights(student), weights(teacher))


def test_networks_by_role_draw_from_streams_of_their_own(context):
    """Else two networks of one kind would begin with the same weights."""
    roles = {"one": SMALL, "two": SMALL}
    one, two = (context(model=roles).network(role, classes=3) for role in roles)
    again, other_seed = (context(model=roles, seed=seed).network("one", classes=3) for seed in (0, 1))
    np.testing.assert_array_equal(weights(one), weights(again))
    assert not np.array_equal(weights(one), weights(two))
    assert not np.array_equal(weights(one), weights(other_seed))


@pytest.mark.parametrize("model", [{"encoder": SMALL}, {}, {"decoder": None}], ids=["other role", "none", "empty"])
def test_a_network_that_is_not_named_is_refused_in_a_line(context, model):
    with pytest.raises(ConfigError, match=r"what task=classification needs: decoder\. Received: ") as refused:
        context(model=model).network("decoder", classes=3)
    assert "\n" not in str(refused.value)


MODULE = """
import keras

seen = []


def build(units, features=None, input_shape=None, classes=None):
    seen.append((features, input_shape, classes))
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])


def plain(units, outputs):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dense(outputs)])
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's own with two functions that build networks."""
    import importlib

    (tmp_path / "nets_of_a_context.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERASDL_TARGETS", "nets_of_a_context")
    module = importlib.import_module("nets_of_a_context")
    yield module
    module.seen.clear()


def test_a_function_gets_those_of_the_offered_arguments_that_it_names(context, module):
    found = context(model={"_target_": "nets_of_a_context.build", "units": 2})
    found.network("classifier", classes=3, outputs=3)
    assert module.seen == [(DIGITS.inputs, (8, 8, 1), 3)]
    plain = context(model={"_target_": "nets_of_a_context.plain", "units": 2}).network(
        "classifier", classes=3, outputs=5
    )
    assert plain.output_shape == (None, 5)


def test_there_is_an_input_shape_for_a_single_input_alone(context, module):
    two = Features({"age": number(), "image": image(8, 8, 1)})
    fitted = {"age": Standardization(40.0, 10.0)}
    context(two, fitted, model={"_target_": "nets_of_a_context.build", "units": 2}).network("classifier")
    assert module.seen == [(two.inputs, None, None)]


def test_a_role_takes_its_own_optimizer_and_else_the_one_of_all(context):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    by_role = context(optimizes=True, optimizer={"encoder": SGD, "decoder": ADAM})
    kinds = {role: by_role.optimizer(role, network) for role in ("encoder", "decoder")}
    assert {role: type(found[role]).__name__ for role, found in kinds.items()} == {"encoder": "SGD", "decoder": "Adam"}
    assert [round(float(found[role].learning_rate), 6) for role, found in kinds.items()] == [0.1, 0.2]
    shared = context(optimizes=True, optimizer=ADAM)
    one, two = (shared.optimizer(role, network)[role] for role in ("encoder", "decoder"))
    assert isinstance(one, keras.optimizers.Adam)
    assert one is not two


def test_an_optimizer_of_all_roles_ignores_the_node_of_a_single_role(context):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    found = context(optimizes=True, optimizer={**SGD, "decoder": ADAM})
    kinds = [type(found.optimizer(role, network)[role]).__name__ for role in ("encoder", "decoder")]
    assert kinds == ["SGD", "Adam"]


def test_an_optimizer_keeps_the_one_that_is_its_argument(context):
    """Loss scaling takes the optimizer that it wraps."""
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    scaling = {"_target_": "keras.optimizers.LossScaleOptimizer", "inner_optimizer": ADAM}
    found = context(optimizes=True, optimizer=scaling).optimizer("classifier", network)["classifier"]
    assert isinstance(found.inner_optimizer, keras.optimizers.Adam)


def test_a_network_of_all_roles_ignores_the_node_of_a_single_role(context):
    model = {**SMALL, "teacher": WIDE}
    together = context(model=model).networks("student", "teacher", classes=3)
    alone = {role: context(model=model).network(role, classes=3) for role in ("student", "teacher")}
    for found in (together, alone):
        units = {role: network.get_layer("dense").units for role, network in found.items()}
        assert units == {"student": 4, "teacher": 6}


def test_a_misspelt_argument_of_a_network_is_no_role(context):
    model = {**SMALL, "kernel_initialiser": {"_target_": "keras.initializers.HeNormal"}}
    with pytest.raises(ConfigError, match=r"model\.kernel_initialiser: there is no such key\."):
        context(model=model).network("classifier", classes=3)


def test_an_optimizer_is_built_for_the_weights_of_all_its_networks(context):
    networks = [keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)]) for units in (2, 4)]
    (optimizer,) = context(optimizes=True, optimizer=ADAM).optimizer("autoencoder", *networks).values()
    # Iterations and learning rate; two moments of each kernel and bias.
    assert len(optimizer.variables) == 2 + 2 * 4


def test_half_precision_scales_the_loss(context):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    scaling = context(optimizes=True, optimizer=SGD, precision="mixed_float16").optimizer("classifier", network)
    assert isinstance(scaling["classifier"], keras.optimizers.LossScaleOptimizer)
    assert isinstance(scaling["classifier"].inner_optimizer, keras.optimizers.SGD)


def test_where_nothing_is_trained_there_is_no_optimizer(context):
    assert context(optimizer=SGD).optimizer("classifier", keras.Sequential()) == {}


def test_a_key_differs_by_name_by_step_and_by_seed_and_by_nothing_else(context):
    def key(name, step, seed=0):
        return tuple(context(seed=seed).key(name)(tf.constant(step, tf.int64)).numpy())

    assert key("augmentation", 3) == key("augmentation", 3)
    assert len({key("augmentation", 3), key("augmentation", 4), key("noise", 3), key("augmentation", 3, seed=1)}) == 4
    assert context().key("noise")(tf.constant(3, tf.int64)).dtype == tf.int32
    assert tf.function(context().key("noise"))(tf.constant(3, tf.int64)).numpy().tolist() == list(key("noise", 3))


def test_a_network_gets_a_tensor_for_a_single_input_and_else_a_dict(context):
    fitted = {"age": Standardization(40.0, 10.0), "bmi": Standardization(25.0, 5.0)}
    one = context(Features({"age": number()}), fitted).preprocessed({"age": tf.constant([30.0, 60.0])})
    np.testing.assert_allclose(one, [-1, 2])
    raw = {"age": tf.constant([30.0]), "bmi": tf.constant([30.0]), "label": tf.constant([1])}
    both = context(Features({"age": number(), "bmi": number()}), fitted).preprocessed(raw)
    assert {name: float(values[0]) for name, values in both.items()} == pytest.approx({"age": -1, "bmi": 1})


def test_the_images_layer_is_that_of_the_configuration(context, composed):
    normalization = {"mean": [0.5], "std": [0.25]}
    found = context(data={**OmegaConf.to_container(composed.data), "normalization": normalization})
    pixels = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(np.ravel(found.inputs["image"](pixels)), [-2, -1.2, 2], atol=1e-6)
