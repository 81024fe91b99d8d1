"""Builds an experiment's parts from its configuration: the task with its networks, and the trainer with its loops."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from kerasdl.config.cadence import cadence
from kerasdl.config.instantiate import instantiate
from kerasdl.config.metrics import is_maximized
from kerasdl.config.training_checks import callback_mode

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Data
    from kerasdl.data.preprocessing import Fitted
    from kerasdl.experiment.parts import Experiment
    from kerasdl.training.checkpoints import Checkpointing
    from kerasdl.training.reports import Listener
    from kerasdl.training.runtime import Runtime
    from kerasdl.training.task import Task
    from kerasdl.training.trainer import Trainer


def build_task(
    config: DictConfig, examples: "Data", runtime: "Runtime", recorded: Mapping[str, Any] = MappingProxyType({})
) -> "tuple[Task, Fitted]":
    """Builds the task with its networks and optimizers.

    Args:
        config: the whole configuration.
        examples: the data.
        runtime: device and XLA.
        recorded: what was fitted on the training split when the run began, from its record; empty for a new run.

    Returns:
        The task, and what was fitted on the training split.
    """
    from kerasdl.data import preprocessing
    from kerasdl.tasks.context import TaskContext

    features = examples.info.features
    fitted = preprocessing.from_json(recorded) or preprocessing.fit(features, examples.train)
    context = TaskContext(config, features, fitted, examples.train, runtime.jit)
    return instantiate(config.task, "task", context=context), fitted


def build_trainer(experiment: "Experiment", listeners: "list[Listener]", profile: Path | None) -> "Trainer":
    """Builds the trainer: compiled loops, schedule, callbacks, checkpoints."""
    from kerasdl.training.loop import EvaluationLoop, TrainingLoop
    from kerasdl.training.pacing import Every
    from kerasdl.training.profiling import Profiling
    from kerasdl.training.rollback import Rollback
    from kerasdl.training.trainer import Trainer

    config, task, examples, jit = experiment.config, experiment.task, experiment.data, experiment.runtime.jit
    settings, steps = config.trainer, examples.train.steps
    schedule = instantiate(config.schedule, "schedule", steps_per_epoch=steps, total_steps=steps * settings.epochs)
    return Trainer(
        task=task,
        loop=TrainingLoop(task, examples.train, schedule, jit),
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


def build_pictures(experiment: "Experiment") -> "Listener":
    """Builds the listener that logs the task's pictures of the validation split, or of training if there is none."""
    from kerasdl.experiment.pictures import Pictures
    from kerasdl.training.loop import EvaluationLoop

    split = experiment.data.validation or experiment.data.train
    return Pictures(experiment.task, EvaluationLoop(experiment.task, split, experiment.runtime.jit), experiment.tracker)


def _callback(node: DictConfig, where: str) -> "keras.callbacks.Callback":
    mode = callback_mode(node, where)
    return instantiate({**node, "mode": mode} if mode else node, where)


def _checkpointing(experiment: "Experiment") -> "Checkpointing":
    from kerasdl.training.checkpoints import Checkpointing, Checkpoints
    from kerasdl.training.pacing import Every

    settings, examples = experiment.config.trainer.checkpoint, experiment.data
    every = cadence(settings.every, "trainer.checkpoint.every")
    checkpoints = None
    if every:
        # Entries that MLflow hasn't received yet must be on disk before a checkpoint that relies on them.
        checkpoints = Checkpoints(experiment.folder.checkpoints, settings.keep, experiment.tracker.sync)
    best = settings.best
    if best == "auto":
        best = "val_loss" if examples.validation else "loss"
    maximize = bool(best) and is_maximized(
        best, settings.get("direction"), "trainer.checkpoint.direction", experiment.task.metrics
    )
    return Checkpointing(checkpoints, Every(every, examples.train.steps), best, maximize)
