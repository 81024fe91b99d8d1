"""The trained model as a differentiable function of pixels: for attributions, attacks and evaluation."""

from collections.abc import Sequence
from typing import Any

import keras

from kerasdl.config.explain import did_you_mean
from kerasdl.errors import UserError

OUTPUTS = ("probabilities", "prediction")  # last layers, from a network's output to the prediction


def on_pixels(serving: keras.Model, layers: Sequence[str] = ()) -> keras.Model:
    """Returns the same network from float pixels to logits; it shares the layers and weights of `serving`.

    The trained model takes uint8, through which no gradient passes, and ends with a softmax, which makes gradients
    vanish where the network is confident. Everything between is kept, including the normalisation.

    Args:
        serving: from images uint8 (b, h, w, c) to class probabilities or a number, with a last layer that has one of
            the names in `OUTPUTS` (`kerasdl.models.serving`).
        layers: names of layers whose outputs are returned, too.

    Returns:
        A functional model from images (b, h, w, c) float32 in 0..255 to logits (b, classes) float32, or, if `layers`
        are named, to a list of the logits and each one's output.

    Raises:
        UserError: `serving` isn't such a model, or has no such layer.
    """
    last = serving.layers[-1]
    if last.name not in OUTPUTS or len(serving.inputs) != 1 or len(serving.outputs) != 1:
        raise UserError(
            f"the model must be one that kerasdl has trained: one image in, a last layer '{OUTPUTS[0]}'. Received: "
            f"model '{serving.name}' with {len(serving.inputs)} inputs and a last layer '{last.name}'."
        )
    known = [layer.name for layer in serving.layers[1:-1]]
    for name in layers:
        if name not in known:
            raise UserError(f"layer must be one of the network's. Received: '{name}'.{did_you_mean(name, known)}")
    outputs: dict[str, Any] = {}

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs[layer.name] = layer(*args, **kwargs)  # of a layer that is applied twice, the last output counts
        return outputs[layer.name]

    pixels = keras.Input(serving.input_shape[1:], dtype="float32", name="pixels")
    network = keras.Model(serving.input, last.input)
    copy = keras.models.clone_model(
        network, input_tensors=pixels, clone_function=lambda layer: layer, call_function=call
    )
    wanted = [copy.output, *(outputs[name] for name in layers)] if layers else copy.output
    return keras.Model(pixels, wanted, name=serving.name)
