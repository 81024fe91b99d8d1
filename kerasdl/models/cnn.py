"""The small CNN of MNIST introductions, after LeNet (LeCun et al. 1998) with dropout (Srivastava et al. 2014)."""

import keras

from kerasdl.models.chain import Shape, chain


def build(
    input_shape: Shape,
    classes: int,
    *,
    style: str = "sequential",
    filters: tuple[int, ...] = (10, 20),
    kernel_sizes: tuple[int, ...] = (5, 5),
    dense_units: int = 50,
    activation: str = "relu",
    channel_dropout: float = 0.5,
    dropout: float = 0.5,
    kernel_initializer="glorot_uniform",
    kernel_regularizer=None,
) -> keras.Model:
    """Convolution, max-pool, activation, repeated; then two dense layers. 21,840 parameters on 28x28x1 with 10 classes.

    The last convolution is followed by channel dropout, which drops whole feature maps (Tompson et al. 2015).

    Args:
        input_shape: (height, width, channels) of one image.
        classes: number of classes, the width of the logits.
        style: `sequential` or `functional`.
        filters: feature maps of each convolution.
        kernel_sizes: side of each convolution's kernel, in pixels; as many as `filters`.
        dense_units: width of the hidden dense layer.
        activation: name of a Keras activation.
        channel_dropout: share of feature maps dropped, in [0, 1).
        dropout: share of hidden units dropped, in [0, 1).
        kernel_initializer: a Keras initializer or its name.
        kernel_regularizer: a Keras regularizer, its name, or None.

    Returns:
        A model from (batch, height, width, channels) float, normalised, to (batch, classes) logits.

    Raises:
        ConfigError: the image is too small for the kernels.
    """
    kernels = {"kernel_initializer": kernel_initializer, "kernel_regularizer": kernel_regularizer}
    layers: list[keras.layers.Layer] = []
    for number, (maps, kernel_size) in enumerate(zip(filters, kernel_sizes, strict=True), start=1):
        layers.append(keras.layers.Conv2D(maps, kernel_size, name=f"conv{number}", **kernels))
        if number == len(filters):
            layers.append(keras.layers.SpatialDropout2D(channel_dropout, name="channel_dropout"))
        layers.append(keras.layers.MaxPooling2D(2, name=f"pool{number}"))
        layers.append(keras.layers.Activation(activation, name=f"activation{number}"))
    layers += [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(dense_units, activation=activation, name="dense", **kernels),
        keras.layers.Dropout(dropout, name="dropout"),
        keras.layers.Dense(classes, name="logits", dtype="float32", **kernels),
    ]
    return chain(layers, input_shape, style=style, name="cnn")
