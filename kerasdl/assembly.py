"""An experiment's parts, built from its configuration: the task with its network, and the trainer with its loops."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from kerasdl.config.cadence import cadence
from kerasdl.config.instantiate import instantiate
from kerasdl.config.metrics import is_maximized
from kerasdl.config.training_checks import callback_mode

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Data, DataInfo
    from kerasdl.experiment import Experiment
    from kerasdl.training.adversary import Adversary
    from kerasdl.training.checkpointing import Checkpointing
    from kerasdl.training.listener import Listener
    from kerasdl.training.task import Task
    from kerasdl.training.trainer import Trainer


def build_network(config: DictConfig, info: "DataInfo") -> "keras.Model":
    """Builds the network for the data's shape, with its initial weights."""
    from kerasdl.models.seeding import seeded

    with seeded(config.seed):
        return instantiate(config.model, "model", input_shape=info.image_shape, classes=info.classes)


def build_serving(config: DictConfig, info: "DataInfo") -> "tuple[keras.Model, keras.Model]":
    """Builds the network, and around it the model that is handed over; nothing that only training needs."""
    import numpy as np

    from kerasdl.data.preprocessing import normalization

    network = build_network(config, info)
    task = instantiate(
        config.task,
        "task",
        model=network,
        optimizer=None,
        normalization=normalization(config.data.normalization, info.image_shape[-1]),
        classes=info.classes,
        class_counts=lambda: np.ones(info.classes, np.int64),  # class weights are training's
    )
    return network, task.serving_model()


def build_optimizer(config: DictConfig, model: "keras.Model") -> "keras.optimizers.Optimizer":
    """Builds the optimizer with all its variables, around it loss scaling if the precision needs it."""
    import keras

    optimizer = instantiate(config.optimizer, "optimizer")
    if config.trainer.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def build_task(config: DictConfig, examples: "Data") -> "Task":
    """Builds the network for the data's shape, its optimizer, and the task that trains it."""
    from kerasdl.data.preprocessing import normalization

    info = examples.info
    model = build_network(config, info)
    return instantiate(
        config.task,
        "task",
        model=model,
        optimizer=build_optimizer(config, model),
        normalization=normalization(config.data.normalization, info.image_shape[-1]),
        classes=info.classes,
        class_counts=examples.train.class_counts,
    )


def build_trainer(experiment: "Experiment", listeners: "list[Listener]", profile: Path | None) -> "Trainer":
    """Builds the trainer: compiled loops, schedule, augmentation, callbacks, checkpoints."""
    from kerasdl.data.augmentation import Augmentation
    from kerasdl.training.every import Every
    from kerasdl.training.loop import EvaluationLoop, TrainingLoop
    from kerasdl.training.profiling import Profiling
    from kerasdl.training.rollback import Rollback
    from kerasdl.training.trainer import Trainer

    config, task, examples, jit = experiment.config, experiment.task, experiment.data, experiment.runtime.jit
    settings, steps = config.trainer, examples.train.steps
    schedule = instantiate(config.schedule, "schedule", steps_per_epoch=steps, total_steps=steps * settings.epochs)
    augmentation = Augmentation(config.data.augmentation) or None
    return Trainer(
        task=task,
        loop=TrainingLoop(
            task, examples.train, schedule, augmentation, config.seed, jit, _adversary(config, task, steps)
        ),
        train=examples.train,
        validation=EvaluationLoop(task, examples.validation, jit) if examples.validation else None,
        callbacks=[_callback(node, f"callbacks.{name}") for name, node in config.callbacks.items() if node],
        epochs=settings.epochs,
        steps_per_call=settings.steps_per_call,
        interval=config.tracking.interval,
        validate_every=Every(cadence(settings.validate_every, "trainer.validate_every"), steps),
        checkpointing=_checkpointing(experiment),
        rollback=Rollback(**settings.rollback) if settings.on_nan == "rollback" else Rollback(),
        profiling=Profiling(settings.profile, profile),
        listeners=listeners,
    )


def _callback(node: DictConfig, where: str) -> "keras.callbacks.Callback":
    mode = callback_mode(node, where)
    return instantiate({**node, "mode": mode} if mode else node, where)


def _adversary(config: DictConfig, task: "Task", steps_per_epoch: int) -> "Adversary | None":
    from kerasdl.attacks import Attack
    from kerasdl.training.adversary import Adversary

    settings = config.trainer.get("adversarial")  # a run that was made before there was the key may go on, too
    if not settings or not settings.epsilon:
        return None
    attack = Attack(
        settings.norm, settings.epsilon, settings.steps, settings.step_size, random_start=settings.random_start
    )
    return Adversary(attack, task, config.seed, settings.warmup * steps_per_epoch)


def _checkpointing(experiment: "Experiment") -> "Checkpointing":
    from kerasdl.training.checkpointing import Checkpointing
    from kerasdl.training.checkpoints import Checkpoints
    from kerasdl.training.every import Every

    settings, examples = experiment.config.trainer.checkpoint, experiment.data
    every = cadence(settings.every, "trainer.checkpoint.every")
    checkpoints = None
    if every:
        # What MLflow is still to get must be on disk before a checkpoint that counts on it.
        checkpoints = Checkpoints(experiment.folder.checkpoints, settings.keep, experiment.tracker.sync)
    best = settings.best
    if best == "auto":
        best = "val_loss" if examples.validation else "loss"
    maximize = bool(best) and is_maximized(best, settings.get("direction"), "trainer.checkpoint.direction")
    return Checkpointing(checkpoints, Every(every, examples.train.steps), best, maximize)
