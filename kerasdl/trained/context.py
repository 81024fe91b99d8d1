"""What a task is built from after training: the final model, and nothing to train."""

from typing import TYPE_CHECKING, Any

import keras

from kerasdl.data import preprocessing
from kerasdl.data.features import Features
from kerasdl.errors import UserError
from kerasdl.models.pixels import on_pixels
from kerasdl.tasks.context import TaskContext

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from kerasdl.models.signature import Signature


class TrainedContext(TaskContext):
    """Gives a task the networks of a trained model, so that the code that built them isn't needed.

    Args:
        config: the run's configuration.
        model: the trained model.
        signature: its inputs and outputs.
        features: of the data that the task is to be evaluated on.
    """

    def __init__(self, config: "DictConfig", model: keras.Model, signature: "Signature", features: Features):
        super().__init__(config, features, preprocessing.from_json(signature.fitted))
        self._model = model
        self._parts = {layer.name: layer for layer in model.layers if isinstance(layer, keras.Model)}
        if not self._parts:  # one network, whose layers, including preprocessing, are the model's own
            self.inputs = {name: keras.layers.Identity(dtype="float32") for name in features.inputs}

    def networks(self, *roles: str, **offered: Any) -> dict[str, keras.Model]:
        """Returns the trained networks of these roles.

        Raises:
            UserError: the model that was handed over lacks one.
        """
        if not self._parts:
            return {roles[0]: on_pixels(self._model)}
        missing = [role for role in roles if role not in self._parts]
        if not missing:
            return {role: self._parts[role] for role in roles}
        if len(roles) == len(self._parts) == 1:  # a single network has a name of its own
            return {roles[0]: next(iter(self._parts.values()))}
        raise UserError(
            f"the run's model lacks a network that its task needs: {', '.join(missing)}. It has: "
            f"{', '.join(self._parts)}. Let the task's serving() give a model that contains it under this name."
        )
