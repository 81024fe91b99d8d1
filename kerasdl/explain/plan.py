"""Decides what can be shown of a network; what can't is refused before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from kerasdl.config.explain import did_you_mean
from kerasdl.errors import ConfigError, UserError
from kerasdl.explain.attribution.layers import find_layers

ANYWHERE = ("integrated_gradients", "saliency", "occlusion")
OF_LAYERS = ("gradcam", "feature_maps", "filters")


@dataclass(frozen=True)
class Plan:
    """What will be shown.

    Attributes:
        maps: the attribution methods, in the order they were asked for.
        gradcam: the layer that Grad-CAM looks at, if it is among them.
        feature_maps: layers whose feature maps are shown.
        filters: convolutions whose kernels are shown.
    """

    maps: tuple[str, ...]
    gradcam: str | None
    feature_maps: tuple[str, ...]
    filters: tuple[str, ...]


def plan(model: keras.Model, methods: Sequence[str] | None, layer: str | None) -> Plan:
    """Returns what of `methods` can be shown of a handed-over model, and at which layers.

    Args:
        model: from images to probabilities (`kerasdl.models.serving`).
        methods: of `ANYWHERE` and `OF_LAYERS`; None takes `gradcam`, where the network allows it, and
            `integrated_gradients`.
        layer: the layer that those of `OF_LAYERS` look at; None takes the one that suits Grad-CAM, and all convolutions
            for the others.

    Raises:
        ConfigError: a layer for methods that look at none.
        UserError: the network has no such layer, or none that a method could look at.
    """
    layers = find_layers(model)
    if methods is None:
        methods = ["gradcam", "integrated_gradients"] if layer or layers.gradcam else ["integrated_gradients"]
    looking = [method for method in methods if method in OF_LAYERS]
    if layer is not None:
        _check_layer(model, layer, layers.maps, layers.convolutions, methods, looking)
    at = layer or layers.gradcam
    all_of_them = (layer,) if layer else layers.convolutions
    wanted = {"gradcam": (at,) if at else (), "feature_maps": all_of_them, "filters": all_of_them}
    lacking = [method for method in looking if not wanted[method]]
    if lacking:
        what, advice = "a layer with feature maps", f"Use method={','.join(ANYWHERE)}"
        if layers.gradcam is not None:
            what = "a convolution"
            advice = f"Use method=gradcam, or feature_maps with layer=, at one of {', '.join(layers.maps)}"
        raise UserError(f"method={','.join(lacking)} needs {what}, and network '{model.name}' has none. {advice}.")
    return Plan(
        maps=tuple(method for method in methods if method in (*ANYWHERE, "gradcam")),
        gradcam=at if "gradcam" in methods else None,
        feature_maps=wanted["feature_maps"] if "feature_maps" in methods else (),
        filters=wanted["filters"] if "filters" in methods else (),
    )


def _check_layer(
    model: keras.Model,
    layer: str,
    maps: dict[str, tuple[int, int, int]],
    convolutions: Sequence[str],
    methods: Sequence[str],
    looking: Sequence[str],
) -> None:
    if not looking:
        raise ConfigError(
            f"layer is for method={','.join(OF_LAYERS)}. Received: layer={layer} method={','.join(methods)}. "
            "Leave it out, or add one of these methods."
        )
    known = [found.name for found in model.layers[1:-1]]
    if layer not in known:
        raise UserError(f"layer must be one of the network's. Received: '{layer}'.{did_you_mean(layer, known)}")
    if layer not in maps:
        shape = "x".join(map(str, getattr(model.get_layer(layer).output, "shape", ())[1:])) or "something else"
        fitting = f"Layers that do: {', '.join(maps)}." if maps else f"Use method={','.join(ANYWHERE)}."
        raise UserError(
            f"layer must give feature maps (height, width, maps). Received: '{layer}', which gives {shape}. {fitting}"
        )
    if "filters" in looking and layer not in convolutions:
        raise UserError(
            f"layer must be a convolution for method=filters. Received: '{layer}'. "
            f"Convolutions: {', '.join(convolutions) or 'none'}."
        )
