"""The network as one compiled function of named input and output: what SavedModel, LiteRT and ONNX are made from.

The names `image` and `probabilities` come out in all three, and so does a batch of any size.
"""

import keras
import tensorflow as tf

from kerasdl.export.source import Source
from kerasdl.models.pixels import on_pixels


class Endpoint(tf.Module):
    """A network and its one function, `serve`; holds the variables, which a converter would lose otherwise.

    Args:
        network: from images (n, height, width, channels) to probabilities, or logits.
        dtype: of the images.
        from_logits: whether the network ends with logits.
    """

    def __init__(self, network: keras.Model, dtype: tf.DType, from_logits: bool = False):
        super().__init__()
        self.held = [variable.value for variable in network.variables]
        image = tf.TensorSpec([None, *network.input_shape[1:]], dtype, name="image")

        def serve(image):
            outputs = network(image, training=False)
            return {"probabilities": tf.nn.softmax(outputs) if from_logits else outputs}

        self.serve = tf.function(serve, input_signature=[image], autograph=False)


def of_images(source: Source) -> Endpoint:
    """Returns the function of images uint8 (n, height, width, channels)."""
    return Endpoint(source.model, tf.uint8)


def of_pixels(source: Source) -> Endpoint:
    """Returns the function of float32 pixels 0..255: a quantiser needs to see the numbers that it replaces."""
    return Endpoint(on_pixels(source.model), tf.float32, from_logits=True)
