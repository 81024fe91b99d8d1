"""A dense autoencoder: an image through a narrow code and back (Hinton and Salakhutdinov 2006)."""

import math
from collections.abc import Sequence

import keras


def build(
    input_shape: tuple[int, int, int],
    *,
    units: Sequence[int] = (256,),
    code: int = 32,
    activation: str = "relu",
    kernel_initializer="glorot_uniform",
    kernel_regularizer=None,
) -> dict[str, keras.Model]:
    """Dense layers down to the code, and the same widths in reverse up to the image.

    Args:
        input_shape: (height, width, channels) of one image.
        units: widths of the encoder's hidden layers; the decoder has them in reverse.
        code: width of the code.
        activation: name of a Keras activation, of the hidden layers; the code is linear.
        kernel_initializer: a Keras initializer or its name.
        kernel_regularizer: a Keras regularizer, its name, or None.

    Returns:
        `encoder`, from images (batch, height, width, channels) float, normalised, to codes (batch, code); and
        `decoder`, from codes to logits of pixels (batch, height, width, channels).
    """
    kernels = {"kernel_initializer": kernel_initializer, "kernel_regularizer": kernel_regularizer}
    image = keras.Input(input_shape, name="image")
    x = keras.layers.Flatten(name="flatten")(image)
    for number, width in enumerate(units, start=1):
        x = keras.layers.Dense(width, activation=activation, name=f"dense{number}", **kernels)(x)
    encoder = keras.Model(image, keras.layers.Dense(code, name="code", dtype="float32", **kernels)(x), name="encoder")

    codes = x = keras.Input((code,), name="code")
    for number, width in enumerate(reversed(units), start=1):
        x = keras.layers.Dense(width, activation=activation, name=f"dense{number}", **kernels)(x)
    x = keras.layers.Dense(math.prod(input_shape), name="pixels", dtype="float32", **kernels)(x)
    decoder = keras.Model(codes, keras.layers.Reshape(input_shape, name="image")(x), name="decoder")
    return {"encoder": encoder, "decoder": decoder}
