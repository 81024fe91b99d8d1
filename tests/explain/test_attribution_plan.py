"""Which layers are looked at, and what is said when there are none."""

import keras
import numpy as np
import pytest

from kerasdl.errors import ConfigError, UserError
from kerasdl.explain.attribution import find_layers
from kerasdl.explain.attribution.layers import kernels
from kerasdl.explain.plan import plan
from kerasdl.models import cnn, image_classifier

L = keras.layers


@pytest.fixture(scope="module")
def dense(handed_over):
    return handed_over([L.Flatten(name="flatten"), L.Dense(5, name="hidden"), L.Dense(2, name="logits")], (4, 4, 1))


@pytest.fixture(scope="module")
def lenet(serving):
    return serving(cnn.build((28, 28, 1), 10))


@pytest.mark.parametrize("style", ["sequential", "functional"])
def test_grad_cam_looks_at_what_the_last_convolution_passes_on(style, serving):
    lenet = find_layers(serving(cnn.build((28, 28, 1), 10, style=style)))
    assert lenet.convolutions == ("conv1", "conv2")
    assert lenet.gradcam == "activation2"  # conv2 is linear
    assert lenet.maps["activation2"] == (4, 4, 20)
    assert find_layers(serving(image_classifier.build((16, 16, 3), 10, style=style))).gradcam == "conv2"  # ReLU inside


def test_networks_with_branches_nested_models_and_no_activation(serving):
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", name="one")(image)
    y = L.Conv2D(4, 3, padding="same", name="two")(L.ReLU(name="relu1")(x))
    out = L.Dense(2)(L.GlobalAveragePooling2D()(L.ReLU(name="relu2")(L.Add(name="sum")([x, y]))))
    found = find_layers(serving(keras.Model(image, out)))
    assert (found.convolutions, found.gradcam) == (("one", "two"), "relu2")

    backbone = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.ReLU()], name="backbone")
    nested = keras.Sequential([keras.Input((8, 8, 3)), backbone, L.Flatten(), L.Dense(2)])
    found = find_layers(serving(nested))
    assert (found.convolutions, found.gradcam) == ((), "backbone")

    bare = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="only"), L.Flatten(), L.Dense(2)])
    assert find_layers(serving(bare)).gradcam == "only"


def test_plans(lenet, dense):
    by_default = plan(lenet, None, None)
    assert by_default.maps == ("gradcam", "integrated_gradients")
    assert (by_default.gradcam, by_default.filters, by_default.feature_maps) == ("activation2", (), ())
    everything = plan(lenet, ["filters", "occlusion", "feature_maps"], None)
    assert everything.maps == ("occlusion",)
    assert everything.gradcam is None
    assert everything.filters == everything.feature_maps == ("conv1", "conv2")
    chosen = plan(lenet, ["gradcam", "feature_maps"], "pool1")
    assert (chosen.gradcam, chosen.feature_maps) == ("pool1", ("pool1",))
    assert plan(dense, None, None).maps == ("integrated_gradients",)


def test_a_network_without_feature_maps_is_reported_what_works(dense):
    with pytest.raises(UserError) as caught:
        plan(dense, ["gradcam", "saliency", "filters"], None)
    assert str(caught.value) == (
        "method=gradcam,filters needs a layer with feature maps, and network 'tested' has none. "
        "Use method=integrated_gradients,saliency,occlusion."
    )


def test_a_network_without_convolutions_of_its_own(handed_over):
    model = handed_over([L.Dense(3, name="mix"), L.Flatten(), L.Dense(2, name="logits")], (4, 4, 1))
    assert plan(model, ["gradcam"], None).gradcam == "mix"
    with pytest.raises(UserError, match="filters needs a convolution, .* at one of normalization, mix"):
        plan(model, ["filters"], None)


def test_layers_that_do_not_fit_are_refused(lenet, dense):
    with pytest.raises(UserError, match=r"layer must be one of the network's. Received: 'cov2'. Did you mean 'conv2'"):
        plan(lenet, ["gradcam"], "cov2")
    with pytest.raises(
        UserError, match=r"must give feature maps .*'dense', which gives 50. Layers that do: normal.*conv1"
    ):
        plan(lenet, None, "dense")
    with pytest.raises(UserError, match=r"must be a convolution for method=filters. Received: 'pool1'.*conv1, conv2"):
        plan(lenet, ["filters"], "pool1")
    with pytest.raises(ConfigError, match=r"layer is for method=gradcam,feature_maps,filters. Received: .*saliency"):
        plan(lenet, ["saliency"], "conv1")


def test_kernels_of_every_kind_of_convolution():
    image = np.zeros((1, 8, 8, 3), "float32")
    shapes = {
        L.Conv2D(5, (3, 2)): (3, 2, 3, 5),
        L.Conv2DTranspose(5, (3, 2)): (3, 2, 3, 5),
        L.DepthwiseConv2D(3, depth_multiplier=2): (3, 3, 1, 6),
        L.SeparableConv2D(5, 3): (3, 3, 1, 3),
    }
    for layer, shape in shapes.items():
        layer(image)
        assert kernels(layer).shape == shape
    with pytest.raises(ValueError, match="layer must be a convolution. Received: Dense"):
        kernels(L.Dense(3))
