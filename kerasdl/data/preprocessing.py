"""Preprocessing: from raw values to what a network takes, as the first layers of the final model.

Images are normalised with the mean and the standard deviation of the configuration (`data.normalization`), numbers with
those of the training split. The latter are computed once, and are part of the run and of its model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasdl.data.features import Feature, Features
from kerasdl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from kerasdl.data.splits import Split


@dataclass(frozen=True)
class Standardization:
    """Mean and standard deviation of a number in the training split.

    Attributes:
        mean: float.
        std: float > 0; 1 where all values are equal.
    """

    mean: float
    std: float

    def layer(self, name: str) -> keras.layers.Rescaling:
        """Returns the layer from raw numbers to (number - mean) / std, float32."""
        return keras.layers.Rescaling(1 / self.std, -self.mean / self.std, name=name, dtype="float32")

    def inverse(self, name: str) -> keras.layers.Rescaling:
        """Returns the layer that undoes `layer`."""
        return keras.layers.Rescaling(self.std, self.mean, name=name, dtype="float32")


Fitted = dict[str, Standardization]  # by the names of the features


def fit(features: Features, train: "Split") -> Fitted:
    """Returns the standardization of each number, input or target, fitted on the training split.

    Raises:
        DataError: a number of the training split is missing or isn't finite.
    """
    fitted = {}
    for name, feature in {**features.inputs, **features.targets}.items():
        if feature.kind != "number":
            continue
        values = train.column(name).astype("float64")
        if not np.isfinite(values).all():
            raise DataError(f"data: every value of {name!r} in the training split must be a finite number.")
        mean, std = float(values.mean()), float(values.std())
        fitted[name] = Standardization(mean, std or 1.0)  # the deviation of equal float32 numbers is exactly 0
    return fitted


def to_json(fitted: Fitted) -> dict[str, Any]:
    return {name: {"mean": each.mean, "std": each.std} for name, each in fitted.items()}


def from_json(saved: Mapping[str, Any]) -> Fitted:
    return {name: Standardization(each["mean"], each["std"]) for name, each in saved.items()}


def input_layer(name: str, feature: Feature, config: Any, fitted: Fitted) -> keras.layers.Layer:
    """Returns the layer from an input's raw values to what a network takes.

    Args:
        name: of the input.
        feature: the input.
        config: the `data` node of the configuration.
        fitted: from `fit`.

    Raises:
        ConfigError: `data.normalization` doesn't fit the image.
        DataError: there is no preprocessing for a feature of this kind.
    """
    if feature.kind == "image":
        return normalization(config.normalization, feature.shape[-1])
    if feature.kind == "number":
        return fitted[name].layer(f"standardized_{name}")
    raise DataError(f"data: there is no preprocessing for {name!r}, a feature of the kind {feature.kind}.")


def normalization(config: Any, channels: int | None = None) -> keras.layers.Rescaling:
    """Returns the layer from pixels 0..255 to (pixel / 255 - mean) / std, float32.

    Args:
        config: `data.normalization`: `mean` and `std`, each of one number or of one a channel, on pixels scaled to
            [0, 1]; `std` > 0.
        channels: of the images, to check the lengths; None skips the check.

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
