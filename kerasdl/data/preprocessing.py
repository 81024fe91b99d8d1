"""Normalisation: the first layer of every network, so that an exported model takes raw pixels."""

from collections.abc import Sequence
from typing import Any

import keras

from kerasdl.errors import ConfigError


def normalization(config: Any, channels: int | None = None) -> keras.layers.Rescaling:
    """Returns the layer from pixels 0..255 to (pixel / 255 - mean) / std, float32.

    Args:
        config: `data.normalization`: `mean` and `std`, each of one number or of one a channel, on pixels scaled to
            [0, 1]; `std` > 0.
        channels: what the images have, to check the lengths against; None skips that.

    Raises:
        ConfigError: a length that isn't 1 or `channels`, or a `std` that isn't positive.
    """
    mean, std = [float(value) for value in config.mean], [float(value) for value in config.std]
    for name, values in (("mean", mean), ("std", std)):
        if not values or (channels is not None and len(values) not in (1, channels)):
            wanted = "one number, or one a channel" + (f" (1 or {channels} numbers)" if channels else "")
            raise ConfigError(f"data.normalization.{name} must be a list of {wanted}. Received: {values}.")
    if len(mean) != len(std) and 1 not in (len(mean), len(std)):
        raise ConfigError(
            f"data.normalization.mean and data.normalization.std must be equally long. Received: {mean} and {std}."
        )
    if min(std) <= 0:
        raise ConfigError(f"data.normalization.std must be > 0. Received: {std}.")
    if len(mean) < len(std):
        mean = mean * len(std)
    scale = [1 / (255 * value) for value in std]
    offset = [-m / s for m, s in zip(mean, std * len(mean) if len(std) == 1 else std, strict=True)]
    return keras.layers.Rescaling(_plain(scale), _plain(offset), name="normalization", dtype="float32")


def _plain(values: Sequence[float]) -> float | list[float]:
    return values[0] if len(values) == 1 else list(values)
