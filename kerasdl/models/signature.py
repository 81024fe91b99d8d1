"""The signature of a trained model: named inputs and outputs with their features.

It is kept in the model's metadata. Commands on a run check by it whether they support the model, and else refuse it in
one line.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kerasdl.data.features import Feature, image, label
from kerasdl.errors import UserError


@dataclass(frozen=True)
class Signature:
    """A model's inputs and outputs.

    Attributes:
        task: the kind of learning, e.g. `classification`.
        inputs: raw features by name; the model takes a single one as a tensor, several as a dict.
        outputs: features by name; the model returns a single one as a tensor, several as a dict; for a `label`, the
            probabilities of the classes, float32 (b, classes).
        fitted: what was fitted on the training split (`kerasdl.data.preprocessing.to_json`).
    """

    task: str
    inputs: Mapping[str, Feature]
    outputs: Mapping[str, Feature]
    fitted: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        """Returns inputs and outputs by their kinds: `image -> label`, `10 numbers -> number`."""
        return f"{_kinds(self.inputs)} -> {_kinds(self.outputs)}"

    @property
    def image(self) -> Feature:
        """The only input, which must be an image.

        Raises:
            UserError: the model takes other inputs.
        """
        return self._only(self.inputs, "image")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the only output, which must be a label.

        Raises:
            UserError: the model has other outputs.
        """
        return self._only(self.outputs, "label").names

    def gives(self, kind: str) -> bool:
        """Returns whether there is one output, of that kind."""
        return [feature.kind for feature in self.outputs.values()] == [kind]

    def takes(self, kind: str) -> bool:
        """Returns whether there is one input, of that kind."""
        return [feature.kind for feature in self.inputs.values()] == [kind]

    def _only(self, features: Mapping[str, Feature], kind: str) -> Feature:
        if [feature.kind for feature in features.values()] != [kind]:
            raise UserError(f"this needs a model with one {kind}. The run's model is {self.describe()}.")
        return next(iter(features.values()))

    def to_metadata(self) -> dict[str, Any]:
        """Returns what MLflow keeps with the model; `class_names` is what earlier versions read."""
        metadata: dict[str, Any] = {
            "signature": {
                "task": self.task,
                # Lists, since MLflow sorts the keys of a mapping.
                "inputs": [{"name": name, **feature.to_json()} for name, feature in self.inputs.items()],
                "outputs": [{"name": name, **feature.to_json()} for name, feature in self.outputs.items()],
                "fitted": dict(self.fitted),
            }
        }
        if self.gives("label"):
            metadata["class_names"] = list(self.class_names)
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], image_shape: tuple[int, ...]) -> "Signature | None":
        """Returns the signature that a model was saved with.

        Args:
            metadata: of the model. That of earlier versions has only the names of the classes, or not even these: then
                None is returned.
            image_shape: (height, width, channels) of the images that such a model takes.
        """
        if saved := metadata.get("signature"):
            return cls(
                saved["task"],
                {each["name"]: Feature.from_json(each) for each in saved["inputs"]},
                {each["name"]: Feature.from_json(each) for each in saved["outputs"]},
                saved["fitted"],
            )
        names = metadata.get("class_names")
        return cls.of_classifier(image_shape, tuple(names)) if names else None

    @classmethod
    def of_classifier(cls, image_shape: tuple[int, ...], class_names: tuple[str, ...]) -> "Signature":
        """Returns the signature of a classifier of images."""
        height, width, channels = image_shape
        return cls("classification", {"image": image(height, width, channels)}, {"label": label(class_names)})


def _kinds(features: Mapping[str, Feature]) -> str:
    """Returns the kinds of features in a few words, numbers counted one by one."""
    counts: dict[str, int] = {}
    for feature in features.values():
        size = math.prod(feature.shape) if feature.kind == "number" else 1
        counts[feature.kind] = counts.get(feature.kind, 0) + size
    return ", ".join(f"{count} {kind}s" if count > 1 else kind for kind, count in counts.items())
