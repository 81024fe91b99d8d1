"""What a task is built from: the data's features, and networks, optimizers and random numbers by name."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from omegaconf import DictConfig

from kerasdl.config.instantiate import instantiate
from kerasdl.data import preprocessing
from kerasdl.data.features import Features
from kerasdl.errors import ConfigError
from kerasdl.models.seeding import seeded
from kerasdl.seeds import derive

if TYPE_CHECKING:
    from kerasdl.data.augmentation import Augmentation
    from kerasdl.data.splits import Split
    from kerasdl.training.task import Batch


class TaskContext:
    """Gives a task what it is built from.

    Args:
        config: the whole configuration.
        features: of the data.
        fitted: what was fitted on the training split.
        train: the training split; None where nothing is trained.
        jit: compile with XLA.
        optimizes: whether optimizers are built; by default if there is a training split.

    Attributes:
        config, features, fitted, train: as given.
        inputs: for each input feature the layer from raw values to what a network is given.
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
        self._jit = jit
        self._optimizes = train is not None if optimizes is None else optimizes

    def network(self, role: str, **offered: Any) -> keras.Model:
        """Builds a network with its initial weights: `model.<role>` of the configuration, or else `model` itself.

        Args:
            role: the network's.
            **offered: arguments of which its function gets those that it names, besides `features` (the data's inputs),
                and `input_shape` if there is a single input. A width is usually `outputs`, or `classes`.

        Raises:
            ConfigError: `model` names no network, or one that doesn't fit.
        """
        names: tuple[str, ...] = ()
        model, where = self.config.model, "model"
        if role in model and _names_target(model[role]):
            model, where, names = model[role], f"model.{role}", (role,)
        elif not _names_target(model):
            raise ConfigError(
                f"model must name a network, or have one as model.{role}, for task={_name(self.config.task)}. "
                f"It has: {', '.join(map(str, model))}. Choose another model, or another task."
            )
        offered = {"features": self.features.inputs, **offered}
        if len(self.features.inputs) == 1:
            offered.setdefault("input_shape", next(iter(self.features.inputs.values())).shape)
        with seeded(self.config.seed, *names):
            return instantiate(model, where, offered)

    def optimizer(self, role: str, *networks: keras.Model) -> "dict[str, keras.optimizers.Optimizer]":
        """Builds the optimizer of these networks with all its variables: `optimizer.<role>`, or else `optimizer`.

        Returns:
            It under its role, around it loss scaling if the precision needs it; {} where nothing is trained.
        """
        if not self._optimizes:
            return {}
        node, where = self.config.optimizer, "optimizer"
        if role in node and _names_target(node[role]):
            node, where = node[role], f"optimizer.{role}"
        optimizer = instantiate(node, where)
        if self.config.trainer.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build([weight for network in networks for weight in network.trainable_variables])
        return {role: optimizer}

    def preprocessed(self, batch: "Batch") -> Any:
        """Returns what a network is given for a batch of raw values: a tensor for a single input, else a dict."""
        values = {name: layer(batch[name]) for name, layer in self.inputs.items()}
        return next(iter(values.values())) if len(values) == 1 else values

    def augmentation(self) -> "Augmentation | None":
        """Returns the changes that `data.augmentation` asks for, of images; None if there are none."""
        from kerasdl.data.augmentation import Augmentation

        return Augmentation(self.config.data.augmentation) or None

    def key(self, name: str) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function from the training step to the seed, int32 (2,), of that step's random numbers.

        Args:
            name: of the purpose; each has random numbers of its own.
        """
        seed = derive(self.config.seed, name)
        return lambda step: tf.stack([seed, tf.cast(step, tf.int32)])

    def compiled(self, function: Callable) -> Callable:
        """Returns a function of tensors as a part of a step, compiled with XLA if steps are."""
        return tf.function(function, autograph=False, jit_compile=True) if self._jit else function


def _names_target(node: Any) -> bool:
    return isinstance(node, DictConfig) and "_target_" in node


def _name(node: Any) -> str:
    return str(node._target_).rpartition(".")[2].lower()
