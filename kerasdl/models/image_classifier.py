"""A small network for colour images, as in introductions to CIFAR-10."""

import keras

from kerasdl.models.chain import Shape, chain


def build(
    input_shape: Shape,
    classes: int,
    *,
    style: str = "sequential",
    filters: tuple[int, ...] = (32, 64),
    kernel_sizes: tuple[int, ...] = (3, 3),
    dense_units: int = 128,
    activation: str = "relu",
    channel_dropout: float = 0.0,
    dropout: float = 0.0,
    kernel_initializer="glorot_uniform",
    kernel_regularizer=None,
) -> keras.Model:
    """Blocks of same-padded convolution and max-pool, then two dense layers. 422,218 parameters on 28x28x3, 10 classes.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: number of classes, the width of the logits.
        style: `sequential` or `functional`.
        filters: feature maps of each convolution.
        kernel_sizes: side of each convolution's kernel, in pixels; as many as `filters`.
        dense_units: width of the hidden dense layer.
        activation: name of a Keras activation.
        channel_dropout: share of the last convolution's feature maps dropped, in [0, 1).
        dropout: share of hidden units dropped, in [0, 1).
        kernel_initializer: a Keras initializer or its name.
        kernel_regularizer: a Keras regularizer, its name, or None.

    Returns:
        A model from (batch, height, width, channels) float, normalised, to (batch, classes) logits.

    Raises:
        ConfigError: the image is too small for the max-pools.
    """
    kernels = {"kernel_initializer": kernel_initializer, "kernel_regularizer": kernel_regularizer}
    layers: list[keras.layers.Layer] = []
    for number, (maps, size) in enumerate(zip(filters, kernel_sizes, strict=True), start=1):
        name = f"conv{number}"
        layers.append(keras.layers.Conv2D(maps, size, padding="same", activation=activation, name=name, **kernels))
        layers.append(keras.layers.MaxPooling2D(2, name=f"pool{number}"))
    layers += [
        keras.layers.SpatialDropout2D(channel_dropout, name="channel_dropout"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(dense_units, activation=activation, name="dense", **kernels),
        keras.layers.Dropout(dropout, name="dropout"),
        keras.layers.Dense(classes, name="logits", dtype="float32", **kernels),
    ]
    return chain(layers, input_shape, style=style, name="image_classifier")
