"""What a task is built from: the data's features, and networks, optimizers and random numbers by name."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from omegaconf import DictConfig, OmegaConf

from kerasdl.config.instantiate import check_target, instantiate, locate
from kerasdl.config.renames import public_name
from kerasdl.data import preprocessing
from kerasdl.data.augmentation import Augmentation
from kerasdl.data.features import Features
from kerasdl.errors import ConfigError
from kerasdl.models.seeding import seeded
from kerasdl.seeds import derive

if TYPE_CHECKING:
    from kerasdl.data.splits import Split
    from kerasdl.training.task import Batch


class TaskContext:
    """What a task is built from, and the means to build its networks and optimizers.

    Args:
        config: the whole configuration.
        features: of the data.
        fitted: statistics that were fitted on the training split.
        train: the training split; None where nothing is trained.
        jit: compile with XLA.
        optimizes: whether optimizers are built; by default only if there is a training split.

    Attributes:
        config, features, fitted, train: as given.
        inputs: for each input feature the layer from raw values to what a network takes.

    Raises:
        ConfigError: augmentation or normalisation that doesn't fit the features.
    """

    def __init__(
        self,
        config: DictConfig,
        features: Features,
        fitted: preprocessing.Fitted,
        train: "Split | None" = None,
        jit: bool = False,
        optimizes: bool | None = None,
    ):
        self.config = config
        self.features = features
        self.fitted = fitted
        self.train = train
        self.inputs: Mapping[str, keras.layers.Layer] = {
            name: preprocessing.input_layer(name, feature, config.data, fitted)
            for name, feature in features.inputs.items()
        }
        self._augmentation = Augmentation(config.data.augmentation)
        self._augmentation_key = self.key("augmentation")
        if self._augmentation and not any(feature.kind == "image" for feature in features.inputs.values()):
            raise ConfigError(
                f"data.augmentation needs images. Received: {config.data.name} with {features.describe()}. "
                "Leave the keys of data.augmentation at their defaults."
            )
        self._jit = jit
        self._optimizes = train is not None if optimizes is None else optimizes

    def network(self, role: str, **offered: Any) -> keras.Model:
        """Builds the network of a task that has one; see `networks`."""
        return self.networks(role, **offered)[role]

    def networks(self, *roles: str, **offered: Any) -> dict[str, keras.Model]:
        """Builds networks with their initial weights.

        A network is described by `model.<role>` of the configuration. The others are described by `model` itself: its
        function returns a network, or several by role.

        Args:
            roles: of the networks that the task needs.
            **offered: further arguments; a function receives those that it names as parameters. It is also offered
                `features` (the data's inputs by name) and, if there is a single input, `input_shape`. The width of the
                output is usually `outputs` or `classes`.

        Raises:
            ConfigError: `model` doesn't describe these networks, or one of them doesn't fit the data.
        """
        offered = {"features": self.features.inputs, **offered}
        if len(self.features.inputs) == 1:
            offered.setdefault("input_shape", next(iter(self.features.inputs.values())).shape)
        model = self.config.model
        own = [role for role in roles if role in model and _names_target(model[role])]
        found: dict[str, keras.Model] = {}
        for role in own:
            with seeded(self.config.seed, role):
                found[role] = instantiate(model[role], f"model.{role}", offered)
        if others := [role for role in roles if role not in own]:
            found |= self._from_model(others, offered)
        return {role: found[role] for role in roles}

    def _from_model(self, roles: Sequence[str], offered: dict[str, Any]) -> dict[str, keras.Model]:
        model = self.config.model
        if _names_target(model) and _can_be_called(locate(model._target_, "model"), offered):
            with seeded(self.config.seed):
                built = instantiate(_without_roles(model, "model"), "model", offered)
            if isinstance(built, keras.Model) and len(roles) == 1:
                return {roles[0]: built}
            if isinstance(built, Mapping) and set(roles) <= set(built):
                return {role: built[role] for role in roles}
        raise ConfigError(
            f"model must describe what task={_name(self.config.task)} needs: {' and '.join(roles)}. Received: "
            f"{_name(model)}. Choose another model, or another task."
        )

    def optimizer(self, role: str, *networks: keras.Model) -> "dict[str, keras.optimizers.Optimizer]":
        """Builds the optimizer of these networks with all its variables, from `optimizer.<role>`, or else `optimizer`.

        Returns:
            The optimizer by its role, wrapped in loss scaling if the precision needs it; {} where nothing is trained.
        """
        if not self._optimizes:
            return {}
        node, where = self.config.optimizer, "optimizer"
        if role in node and _names_target(node[role]):
            node, where = node[role], f"optimizer.{role}"
        optimizer = instantiate(_without_roles(node, where), where)
        if self.config.trainer.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build([weight for network in networks for weight in network.trainable_variables])
        return {role: optimizer}

    def preprocessed(self, batch: "Batch") -> Any:
        """Returns what a network takes for a batch of raw values: a tensor for a single input, else a dict."""
        # Layers take floats, so the bytes of an image are cast here.
        values = {name: layer(tf.cast(batch[name], tf.float32)) for name, layer in self.inputs.items()}
        return next(iter(values.values())) if len(values) == 1 else values

    def augmented(self, batch: "Batch", step: tf.Tensor) -> "Batch":
        """Returns a training batch whose input images, float32, are augmented as `data.augmentation` says.

        Args:
            batch: as the data has it.
            step: number of training steps done before.
        """
        images = {
            name: tf.cast(batch[name], tf.float32)
            for name, feature in self.features.inputs.items()
            if feature.kind == "image"
        }
        if self._augmentation:
            images = {name: self._augmentation(pixels, self._augmentation_key(step)) for name, pixels in images.items()}
        return {**batch, **images}

    def key(self, name: str) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function from the training step to the seed, int32 (2,), of that step's random numbers.

        Args:
            name: of the purpose; each has its own random numbers.
        """
        seed = derive(self.config.seed, name)
        return lambda step: tf.stack([seed, tf.cast(step, tf.int32)])

    def compiled(self, function: Callable) -> Callable:
        """Returns a function of tensors for use in a step, compiled with XLA if steps are."""
        return tf.function(function, autograph=False, jit_compile=True) if self._jit else function


def _names_target(node: Any) -> bool:
    return isinstance(node, DictConfig) and "_target_" in node


def _without_roles(node: DictConfig, where: str) -> dict[str, Any]:
    """Returns a node that describes all roles, without the nodes in it that each describe a single role.

    A node is a role's if it names something that may itself stand at `where`, and isn't an argument of the function
    that the whole node names.
    """
    arguments = inspect.signature(locate(node._target_, where)).parameters
    values: Any = OmegaConf.to_container(node, resolve=True)
    roles = {key for key in values if key not in arguments and _may_stand_at(where, node[key])}
    return {key: value for key, value in values.items() if key not in roles}


def _may_stand_at(where: str, node: Any) -> bool:
    """Returns whether a node names something that is allowed at a key of the configuration, e.g. `optimizer`."""
    if not _names_target(node):
        return False
    try:
        check_target(public_name(node._target_), f"{where}._target_")
    except ConfigError:
        return False
    return True


def _can_be_called(function: Any, offered: Mapping[str, Any]) -> bool:
    """Returns whether the task and the data offer every argument that a model's function needs of them."""
    needed = {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if name in ("classes", "outputs", "input_shape") and parameter.default is parameter.empty
    }
    return needed <= set(offered)


def _name(node: Any) -> str:
    target = node.get("_target_")
    return str(target).rpartition(".")[2].lower() if target else ", ".join(map(str, node)) or "nothing"
