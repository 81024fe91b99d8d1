"""The typed configuration: one dataclass for each node of the tree that conf/ composes.

Hydra merges every YAML file and every override into these types. A misspelt key or a wrong type is thus refused while
the configuration is composed, and a value out of range by `kerasdl.config.checks`, both before TensorFlow is imported.
A key's type, default and allowed values stand here, in one line (`kerasdl.config.keys.key`). Its meaning stands in the
YAML file that users read and copy, beside the same default; a test holds the two together.

Why not pydantic or hydra-zen: Hydra 1.3 types a tree by dataclasses or attrs classes only, drops pydantic's constraints
when it composes, and has no place for `???` and interpolations in a pydantic model; each key would then stand in two
models. hydra-zen takes types from the signatures of what is instantiated, and checks with pydantic at that moment: it
would have to import Keras, and a wrong value would cost seconds instead of milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING

from kerasdl.config.keys import added, key, node_type
from kerasdl.config.optimizers import Optimizer
from kerasdl.config.schedules import Schedule

_STYLES = ("sequential", "functional")
_AUTO = ("auto", True, False)


@dataclass
class Model:
    _target_: str = MISSING


@dataclass
class Cnn(Model):
    _target_: str = "kerasdl.models.cnn"
    style: str = key("sequential", choices=_STYLES)
    filters: list[int] = key([10, 20], at_least=1)
    kernel_sizes: list[int] = key([5, 5], at_least=1)
    dense_units: int = key(50, at_least=1)
    activation: str = "relu"
    channel_dropout: float = key(0.5, at_least=0, below=1)
    dropout: float = key(0.5, at_least=0, below=1)
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None


@dataclass
class ImageClassifier(Model):
    _target_: str = "kerasdl.models.image_classifier"
    style: str = key("sequential", choices=_STYLES)
    filters: list[int] = key([32, 64], at_least=1)
    kernel_sizes: list[int] = key([3, 3], at_least=1)
    dense_units: int = key(128, at_least=1)
    activation: str = "relu"
    channel_dropout: float = key(0.0, at_least=0, below=1)
    dropout: float = key(0.0, at_least=0, below=1)
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None


@dataclass
class Layers(Model):
    _target_: str = "kerasdl.models.layers"
    style: str = key("sequential", choices=_STYLES)
    layers: list[Any] = MISSING


@dataclass
class Mlp(Model):
    _target_: str = "kerasdl.models.mlp"
    units: list[int] = key([64, 64], at_least=1)
    activation: str = "relu"
    dropout: float = key(0.0, at_least=0, below=1)
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None


@dataclass
class AutoencoderModel(Model):
    _target_: str = "kerasdl.models.autoencoder"
    units: list[int] = key([256], at_least=1)
    code: int = key(32, at_least=1)
    activation: str = "relu"
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None


@dataclass
class Augmentation:
    shift: float = key(0.0, at_least=0, below=1)
    crop: int = key(0, at_least=0)
    flip: bool = False
    rotation: float = key(0.0, at_least=0, at_most=180)
    zoom: float = key(0.0, at_least=0, below=1)
    cutout: int = key(0, at_least=0)


@dataclass
class Normalization:
    mean: Any = field(default_factory=lambda: [0.0])  # a number stands for a list of one: `composition.completed`
    std: Any = key([1.0], above=0)


@dataclass
class Data:
    _target_: str = added("kerasdl.data.tfds")
    name: str = MISSING
    train_split: str = "train"
    test_split: str | None = "test"
    validation: Any = 0.1
    batch_size: int = key(64, at_least=1)
    evaluation_batch_size: int = key(1000, at_least=1)
    shuffle: bool = True
    shuffle_window: int = key(10_000, at_least=1)
    memory_budget: str = "2GB"
    data_dir: str | None = None
    manual_dir: str | None = None
    image_size: list[int] | None = key(None, at_least=1)
    fraction: float = key(1.0, above=0, at_most=1)
    batches: int | None = key(None, at_least=1)
    normalization: Normalization = field(default_factory=Normalization)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass
class Task:
    _target_: str = MISSING


@dataclass
class Classification(Task):
    _target_: str = "kerasdl.tasks.classification"
    loss: str = key("cross_entropy", choices=("cross_entropy", "mean_squared_error"))
    label_smoothing: float = key(0.0, at_least=0, below=1)
    class_weights: Any = None
    metrics: list[str] = field(default_factory=lambda: ["accuracy"])


@dataclass
class Regression(Task):
    _target_: str = "kerasdl.tasks.regression"
    loss: str = key("mean_squared_error", choices=("mean_squared_error", "mean_absolute_error", "huber"))
    metrics: list[str] = key(["mse", "mae", "r2"], choices=("mse", "rmse", "mae", "r2"))


@dataclass
class Autoencoder(Task):
    _target_: str = "kerasdl.tasks.autoencoder"
    loss: str = key("mean_squared_error", choices=("mean_squared_error", "binary_cross_entropy"))
    metrics: list[str] = key(["mse"], choices=("mse", "mae"))
    pictures_every: int = key(5, at_least=0)


@dataclass
class Checkpoint:
    every: str | None = "1epochs"
    keep: int = key(2, at_least=1)
    best: str | None = "auto"
    direction: str = "auto"


@dataclass
class Rollback:
    factor: float = key(0.5, above=0, below=1)
    limit: int = key(3, at_least=1)


@dataclass
class Adversarial:
    norm: str = key("linf", choices=("linf", "l2"))
    epsilon: float = key(0.0, at_least=0)
    steps: int = key(7, at_least=1)
    step_size: float | None = key(None, above=0)
    random_start: bool = True
    warmup: float = key(0.0, at_least=0)


@dataclass
class Trainer:
    epochs: int = key(10, at_least=1)
    steps_per_call: Any = key("auto", choices=("auto",), at_least=1, whole=True)
    precision: str = key("float32", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    device: str = key("auto", choices=("auto", "cpu", "gpu"))
    jit: Any = key("auto", choices=_AUTO)
    deterministic: Any = key("auto", choices=_AUTO)
    threads: int | None = key(None, at_least=1)
    check_numerics: bool = False
    profile: list[int] | None = None
    validate_every: str | None = None
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    on_nan: str = key("stop", choices=("stop", "rollback"))
    rollback: Rollback = field(default_factory=Rollback)
    adversarial: Adversarial = added(Adversarial, switch="epsilon")


@dataclass
class Tracking:
    backend: str = key("mlflow", choices=("mlflow", "none"))
    experiment: str = "kerasdl"
    run_name: str | None = None
    uri: str | None = None
    interval: int = key(100, at_least=1)
    system_metrics: bool = True
    git_diff: bool = True
    log_model: bool = True
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Pruning:
    startup_trials: int = key(5, at_least=0)
    warmup: int = key(1, at_least=0)
    percentile: float = key(25.0, above=0, below=100)
    min_resource: int = key(1, at_least=1)
    reduction_factor: int = key(3, at_least=2)
    max_resource: Any = key("auto", choices=("auto",), at_least=1, whole=True)


@dataclass
class Sweep:
    name: str | None = None
    sampler: str = key(MISSING, choices=("grid", "random", "tpe", "cmaes", "gp"))
    trials: int | None = key(None, at_least=1)
    metric: Any = "auto"
    direction: Any = "auto"
    seed: int = key(0, at_least=0)
    space: dict[str, Any] = field(default_factory=dict)
    when: dict[str, Any] = field(default_factory=dict)
    jobs: int = key(1, at_least=1)
    trial_timeout: float | None = key(None, above=0)
    max_failures: int | None = key(None, at_least=1)
    dry_run: bool = False
    pruner: str = key("none", choices=("none", "median", "percentile", "hyperband", "asha"))
    pruning: Pruning = field(default_factory=Pruning)
    storage: str | None = None
    heartbeat: float = key(60.0, above=0)


@dataclass
class Paths:
    output_dir: str = "./mlruns"
    cache_dir: str = "~/.cache/kerasdl"


@dataclass
class Config:
    """Everything that one experiment needs; what `kerasdl.experiment.run` takes.

    Model, task, optimizer and schedule are typed by the file that is chosen from their group, so that a file of the
    user's own may have its own keys.
    """

    model: Any = MISSING
    data: Data = MISSING
    task: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    trainer: Trainer = MISSING
    callbacks: dict[str, Any] = field(default_factory=dict)
    tracking: Tracking = MISSING
    paths: Paths = field(default_factory=Paths)
    sweep: Sweep | None = None
    seed: int = key(0, at_least=0)
    resume: str = "never"


# In these groups a node's type is the subclass whose `_target_` the node has; `kerasdl.config.composition` registers
# each under the last part of that name.
CHOICES: dict[str, Any] = {"model": Model, "task": Task, "optimizer": Optimizer, "schedule": Schedule}


def type_of(group: str, node: Mapping[str, Any]) -> type | None:
    """Returns the dataclass that types a node at the top of the tree; None for one of the user's own.

    Args:
        group: its key, e.g. `optimizer`.
        node: the node, in which targets have their public names.
    """
    if group not in CHOICES:
        return next((node_type(item) for item in fields(Config) if item.name == group), None)
    return {kind._target_: kind for kind in CHOICES[group].__subclasses__()}.get(node.get("_target_"))
