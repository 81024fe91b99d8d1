"""Which layers of a network have feature maps or kernels to show, and which one Grad-CAM looks at.

The layers are those of the model that is handed over. What is inside a layer of its own, such as a model of one's own
class, isn't seen.
"""

from dataclasses import dataclass

import keras
import numpy as np

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
)


@dataclass(frozen=True)
class Layers:
    """The layers of a network that give feature maps, from the image to the logits.

    Attributes:
        maps: (h, w, maps) of every layer that gives them, by name.
        convolutions: the names of those that are convolutions.
        gradcam: where Grad-CAM looks by default: the last convolution, or, if that has no activation
            of its own, the last activation layer after it, since what it cuts off isn't passed on; in a network
            without convolutions the last layer with feature maps after one with weights; None if there is none.
    """

    maps: dict[str, tuple[int, int, int]]
    convolutions: tuple[str, ...]
    gradcam: str | None


def find_layers(model: keras.Model) -> Layers:
    """Returns what there is to look at in a handed-over model (`kerasdl.models.serving`)."""
    spatial = [layer for layer in model.layers[1:-1] if _is_spatial(layer)]
    maps = {layer.name: tuple(layer.output.shape[1:]) for layer in spatial}
    convolutions = [layer.name for layer in spatial if isinstance(layer, CONVOLUTIONS)]
    if convolutions:
        last = next(layer for layer in spatial if layer.name == convolutions[-1])
        after = [layer.name for layer in spatial[spatial.index(last) + 1 :] if isinstance(layer, ACTIVATIONS)]
        linear = last.activation is keras.activations.linear
        chosen = after[-1] if linear and after else last.name
    else:
        first = next((number for number, layer in enumerate(spatial) if layer.weights), len(spatial))
        chosen = spatial[-1].name if first < len(spatial) else None
    return Layers(maps, tuple(convolutions), chosen)


def kernels(layer: keras.layers.Layer) -> np.ndarray:
    """Returns a convolution's kernels, float32 (height, width, input channels, filters).

    Those of a depthwise convolution, which sees one channel at a time, have one input channel; of a separable one, the
    depthwise part is meant.

    Raises:
        ValueError: the layer is no convolution.
    """
    if isinstance(layer, keras.layers.SeparableConv2D):
        kernel = keras.ops.convert_to_numpy(layer.depthwise_kernel)
    elif isinstance(layer, CONVOLUTIONS):
        kernel = keras.ops.convert_to_numpy(layer.kernel)
    else:
        raise ValueError(f"layer must be a convolution. Received: {type(layer).__name__} '{layer.name}'.")
    kernel = kernel.astype("float32")
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return kernel.transpose(0, 1, 3, 2)
    if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.SeparableConv2D):
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    return kernel


def _is_spatial(layer: keras.layers.Layer) -> bool:
    shape = getattr(layer.output, "shape", ())  # a layer with several outputs has a list of them
    return len(shape) == 4 and None not in shape[1:]
