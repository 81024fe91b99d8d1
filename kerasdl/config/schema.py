"""The typed configuration: one dataclass a node of the tree that conf/ composes.

Hydra merges every YAML file and every override into these types, so that a misspelt key or a wrong type is refused
while the configuration is composed, before TensorFlow is imported. What each key means is documented in conf/, where
its default stands. Ranges and choices are checked in `kerasdl.config.checks`.

A key that is new in a later version is declared with `added`, so that runs which were made without it keep their
identity.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

ADDED, SWITCH = "added", "switch"  # in a field's metadata


def added(default: Any, *, switch: str | None = None) -> Any:
    """Declares a key that earlier versions lack: it is no part of a run's identity while it has its default.

    The default must therefore mean what happened before there was the key.

    Args:
        default: the key's default; for a node its class.
        switch: of a node, the key that switches it on: while that one has its default, the node's others mean nothing.

    Example:
        >>> @dataclass
        ... class Trainer:
        ...     patience: int | None = added(None)
    """
    metadata = {ADDED: True, SWITCH: switch}
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Model:
    _target_: str = MISSING


@dataclass
class Cnn(Model):
    _target_: str = "kerasdl.models.cnn.build"
    style: str = "sequential"
    filters: list[int] = field(default_factory=lambda: [10, 20])
    kernel_sizes: list[int] = field(default_factory=lambda: [5, 5])
    dense_units: int = 50
    activation: str = "relu"
    channel_dropout: float = 0.5
    dropout: float = 0.5
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None


@dataclass
class ImageClassifier(Model):
    _target_: str = "kerasdl.models.image_classifier.build"
    style: str = "sequential"
    filters: list[int] = field(default_factory=lambda: [32, 64])
    kernel_sizes: list[int] = field(default_factory=lambda: [3, 3])
    dense_units: int = 128
    activation: str = "relu"
    channel_dropout: float = 0.0
    dropout: float = 0.0
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None


@dataclass
class Layers(Model):
    _target_: str = "kerasdl.models.layers.build"
    style: str = "sequential"
    layers: list[Any] = MISSING


@dataclass
class Augmentation:
    shift: float = 0.0
    crop: int = 0
    flip: bool = False
    rotation: float = 0.0
    zoom: float = 0.0
    cutout: int = 0


@dataclass
class Normalization:
    mean: Any = field(default_factory=lambda: [0.0])  # a number stands for a list of one: `composition.completed`
    std: Any = field(default_factory=lambda: [1.0])


@dataclass
class Data:
    name: str = MISSING
    train_split: str = "train"
    test_split: str | None = "test"
    validation: Any = 0.1
    batch_size: int = 64
    evaluation_batch_size: int = 1000
    shuffle: bool = True
    shuffle_window: int = 10_000
    memory_budget: str = "2GB"
    data_dir: str | None = None
    manual_dir: str | None = None
    image_size: list[int] | None = None
    fraction: float = 1.0
    batches: int | None = None
    normalization: Normalization = field(default_factory=Normalization)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass
class Task:
    _target_: str = MISSING


@dataclass
class Classification(Task):
    _target_: str = "kerasdl.training.classification.Classification"
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    class_weights: Any = None
    metrics: list[str] = field(default_factory=lambda: ["accuracy"])


@dataclass
class Checkpoint:
    every: str | None = "1epochs"
    keep: int = 2
    best: str | None = "auto"
    direction: str = "auto"


@dataclass
class Rollback:
    factor: float = 0.5
    limit: int = 3


@dataclass
class Adversarial:
    norm: str = "linf"
    epsilon: float = 0.0
    steps: int = 7
    step_size: float | None = None
    random_start: bool = True
    warmup: float = 0.0


@dataclass
class Trainer:
    epochs: int = 10
    steps_per_call: Any = "auto"
    precision: str = "float32"
    device: str = "auto"
    jit: Any = "auto"
    deterministic: Any = "auto"
    threads: int | None = None
    check_numerics: bool = False
    profile: list[int] | None = None
    validate_every: str | None = None
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    on_nan: str = "stop"
    rollback: Rollback = field(default_factory=Rollback)
    adversarial: Adversarial = added(Adversarial, switch="epsilon")


@dataclass
class Tracking:
    backend: str = "mlflow"
    experiment: str = "kerasdl"
    run_name: str | None = None
    uri: str | None = None
    interval: int = 100
    system_metrics: bool = True
    git_diff: bool = True
    log_model: bool = True
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Pruning:
    startup_trials: int = 5
    warmup: int = 1
    percentile: float = 25.0
    min_resource: int = 1
    reduction_factor: int = 3
    max_resource: Any = "auto"


@dataclass
class Sweep:
    name: str | None = None
    sampler: str = MISSING
    trials: int | None = None
    metric: Any = "val_accuracy"
    direction: Any = "auto"
    seed: int = 0
    space: dict[str, Any] = field(default_factory=dict)
    when: dict[str, Any] = field(default_factory=dict)
    jobs: int = 1
    trial_timeout: float | None = None
    max_failures: int | None = None
    dry_run: bool = False
    pruner: str = "none"
    pruning: Pruning = field(default_factory=Pruning)
    storage: str | None = None
    heartbeat: float = 60.0


@dataclass
class Paths:
    output_dir: str = "./mlruns"
    cache_dir: str = "~/.cache/kerasdl"


@dataclass
class Config:
    """Everything that one experiment needs; what `kerasdl.experiment.run` takes.

    Model, task, optimizer and schedule are typed by the file that is chosen from their group, so that one of the
    user's own may have keys of its own.
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
    seed: int = 0
    resume: str = "never"
