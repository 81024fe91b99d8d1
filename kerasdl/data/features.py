"""What an example of a data set consists of: named features, each with a kind, a shape and a role.

The rest of the program uses these names: a batch is a dict from feature name to tensor, a model's inputs and outputs
are features, and a command on a run declares which it needs. This module imports nothing heavy, so that a data set
that doesn't fit a task is refused within a second.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KINDS = ("image", "label", "number", "category", "text", "tokens", "audio", "sequence")


@dataclass(frozen=True)
class Feature:
    """One feature of an example.

    Attributes:
        kind: one of `KINDS`: `image` is uint8 (height, width, channels), `label` an index into `names`, `number` a
            float.
        shape: of one example; () for a scalar.
        dtype: NumPy's name for the type of its values.
        names: the classes of a label, in the order of their indices, or a vocabulary.

    Raises:
        ValueError: an unknown kind.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"A feature's kind must be one of {', '.join(KINDS)}. Received: {self.kind!r}.")

    @property
    def is_scalar(self) -> bool:
        return self.shape == ()

    @property
    def nbytes(self) -> int:
        """Bytes of one example's value."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def describe(self) -> str:
        """Returns a few words: `28x28x1`, `10 classes`, `number`."""
        if self.kind == "label":
            return f"{len(self.names):,} classes"
        size = "x".join(map(str, self.shape))
        return size if self.kind == "image" else f"{size} {self.kind}s" if size else self.kind

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "shape": list(self.shape), "dtype": self.dtype, "names": list(self.names)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Feature":
        return cls(saved["kind"], tuple(saved["shape"]), saved["dtype"], tuple(saved["names"]))


def image(height: int, width: int, channels: int) -> Feature:
    """Returns the feature of a uint8 image."""
    return Feature("image", (height, width, channels), "uint8")


def label(names: Sequence[str]) -> Feature:
    """Returns the feature of a class label."""
    return Feature("label", (), "int64", tuple(names))


def number() -> Feature:
    """Returns the feature of a single number."""
    return Feature("number", (), "float32")


@dataclass(frozen=True)
class Features:
    """The features of a data set by name and role; every name is unique.

    Attributes:
        inputs: what a network takes.
        targets: what it learns to predict.
        extras: what else an example has, e.g. a weight or the group that it belongs to.
    """

    inputs: Mapping[str, Feature]
    targets: Mapping[str, Feature] = field(default_factory=dict)
    extras: Mapping[str, Feature] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, Feature]:
        return {**self.inputs, **self.targets, **self.extras}

    @property
    def nbytes(self) -> int:
        """Bytes of one example."""
        return sum(feature.nbytes for feature in self.all.values())

    def describe(self) -> str:
        """Returns a few words: `28x28x1, 10 classes`, `2 images of 8x8x1`, `10 numbers, target age (number)`."""
        parts = [_inputs(self.inputs)]
        for name, feature in self.targets.items():
            parts.append(feature.describe() if feature.kind == "label" else f"target {name} ({feature.describe()})")
        return ", ".join(parts)


def _inputs(features: Mapping[str, Feature]) -> str:
    """Returns the inputs in a few words; those that are described alike are counted."""
    alike = Counter((feature.kind, feature.describe()) for feature in features.values())
    return ", ".join(_counted(count, kind, description) for (kind, description), count in alike.items())


def _counted(count: int, kind: str, description: str) -> str:
    """Returns a few words on features alike: `8x8x1`, `2 images of 8x8x1`, `10 numbers`, `2 times 5 numbers`."""
    if count == 1:
        return description
    if description == kind:
        return f"{count} {kind}s"
    return f"{count} times {description}" if description.endswith(f"{kind}s") else f"{count} {kind}s of {description}"
