"""The networks of a model that was handed over, by role."""

import keras
import pytest

from kerasdl import compose
from kerasdl.data.features import Features, image
from kerasdl.errors import UserError
from kerasdl.models.autoencoder import build
from kerasdl.models.signature import Signature
from kerasdl.trained.context import TrainedContext


@pytest.fixture
def made():
    """Returns what makes the context of a model that consists of the networks of these roles."""
    config = compose(["data=digits", "task=autoencoder", "model=autoencoder"])
    networks = build((8, 8, 1), units=(4,), code=2)

    def make(*roles):
        inputs = outputs = keras.Input(networks[roles[0]].input_shape[1:], name="image")
        for role in roles:
            outputs = networks[role](outputs)
        features = Features({"image": image(8, 8, 1)})
        model = keras.Model(inputs, outputs)
        return TrainedContext(config, model, Signature("autoencoder", features.inputs, {}), features), networks

    return make


def test_each_role_is_its_own_network_however_it_is_asked_for(made):
    context, networks = made("encoder", "decoder")
    assert context.networks("encoder", "decoder") == networks
    assert [context.network(role) for role in networks] == list(networks.values())


def test_a_single_network_has_any_role(made):
    context, networks = made("encoder")
    assert context.network("regressor") is networks["encoder"]


def test_a_network_that_was_not_handed_over_is_named(made):
    context, _ = made("encoder", "decoder")
    with pytest.raises(UserError, match="lacks a network that its task needs: critic. It has: encoder, decoder."):
        context.networks("encoder", "critic")
