"""One experiment, from a configuration to a result: the story that the rest of the package fills in.

    from kerasdl import compose, run
    result = run(compose(["model=cnn", "data=mnist"]))

Everything that can be refused is refused first, in the order of its cost; then data, model, training, the one look at
the test split, and what is kept. The command line and a notebook make the same call.
"""

import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from kerasdl import console, data, record, tracking
from kerasdl.config.checks import check
from kerasdl.config.identity import config_hash
from kerasdl.config.instantiate import instantiate
from kerasdl.errors import TrackingError
from kerasdl.training import runtime

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Data
    from kerasdl.tracking import Tracker
    from kerasdl.training.task import Task
    from kerasdl.training.trainer import History, Trainer


@dataclass(frozen=True)
class Experiment:
    """What an experiment is made of, once its parts are built.

    Attributes:
        config: the composed configuration.
        data: its splits.
        task: network, optimizer and what a step computes.
        runtime: device, XLA, determinism.
        tracker: where results go.
        config_hash: identity of what decides the result.
    """

    config: DictConfig
    data: "Data"
    task: "Task"
    runtime: runtime.Runtime
    tracker: "Tracker"
    config_hash: str


@dataclass(frozen=True)
class Result:
    """What an experiment gave.

    Attributes:
        status: `FINISHED`, or `KILLED` after Ctrl-C.
        metrics: the last epoch's metrics (`loss`, `val_accuracy`, ...) and the test's (`test_loss`, ...).
        history: for each metric its value in each epoch.
        model: from raw uint8 images (n, height, width, channels) to class probabilities (n, classes).
        run_id: the MLflow run's id; None with `tracking=none`.
        config_hash: identity of what decided the result.
        seconds: how long it took, data and model included.
        first_step_at: time (seconds since 1970) at which the first training step was done.
        tracking_error: what couldn't be written to MLflow, in a line; None if all was.
    """

    status: str
    metrics: dict[str, float]
    history: dict[str, list[float]]
    model: "keras.Model"
    run_id: str | None
    config_hash: str
    seconds: float
    first_step_at: float
    tracking_error: str | None = None


def run(config: DictConfig) -> Result:
    """Runs the experiment that `config` describes.

    Args:
        config: a composed configuration, from the command line or `kerasdl.compose`.

    Raises:
        UserError: something that the user can mend; its message says what and how.
    """
    watch = console.Stopwatch()
    check(config)
    tracker = tracking.create(config)
    tracker.check()
    data.check(config.data)
    with runtime.precision_and_device(config.trainer) as settings:
        examples = data.load(config.data, config.seed, config.paths.cache_dir, console.say)
        task = build_task(config, examples)
        experiment = Experiment(config, examples, task, settings, tracker, config_hash(config))
        console.announce(experiment)
        try:
            result = _train_and_test(experiment, watch)
        except BaseException as error:
            _give_up(tracker, error)
            raise
    # The result is shown and returned even if MLflow can't take the last of it.
    console.conclude(experiment, result)
    try:
        tracker.finish(result.status)
    except TrackingError as error:
        console.warn(str(error))
        return replace(result, tracking_error=str(error))
    return result


def _give_up(tracker: "Tracker", error: BaseException) -> None:
    """Ends the run of an experiment that `error` ended; a failure of MLflow must not hide that one."""
    status = "FAILED" if isinstance(error, Exception) else "KILLED"
    try:
        tracker.finish(status, "".join(traceback.format_exception(error)) if status == "FAILED" else None)
    except TrackingError as failure:
        if failure is not error:
            console.warn(str(failure))


def build_task(config: DictConfig, examples: "Data") -> "Task":
    """Builds the network for the data's shape, its optimizer, and the task that trains it."""
    import keras

    from kerasdl.data.preprocessing import normalization
    from kerasdl.models.seeding import seeded

    info = examples.info
    with seeded(config.seed) as seed_layers:
        model = instantiate(config.model, "model", input_shape=info.image_shape, classes=info.classes)
        seed_layers(model)
    optimizer = instantiate(config.optimizer, "optimizer")
    if config.trainer.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return instantiate(
        config.task,
        "task",
        model=model,
        optimizer=optimizer,
        normalization=normalization(config.data.normalization, info.image_shape[-1]),
        classes=info.classes,
        class_counts=examples.train.class_counts,
    )


def _train_and_test(experiment: Experiment, watch: console.Stopwatch) -> Result:
    config, task, tracker = experiment.config, experiment.task, experiment.tracker
    display = console.Display(config.trainer.epochs, experiment.data.train.steps)
    profile = record.profile_folder(config)
    trainer = build_trainer(experiment, [display, tracking.TrackingListener(tracker)], profile)
    record.begin(experiment)
    try:
        with display, runtime.numerics_checked(config.trainer.check_numerics):
            history = trainer.fit()
    finally:
        record.history(tracker, trainer.history)
        record.profile(tracker, profile)
    metrics = {name: values[-1] for name, values in history.epochs.items()}
    if not history.interrupted:
        metrics |= _test(experiment, history)
    model = task.serving_model()
    if config.tracking.log_model:
        record.model(tracker, model, experiment.data)
    return Result(
        status="KILLED" if history.interrupted else "FINISHED",
        metrics=metrics,
        history=history.epochs,
        model=model,
        run_id=tracker.run_id,
        config_hash=experiment.config_hash,
        seconds=watch.seconds(),
        first_step_at=history.first_step_at,
    )


def _test(experiment: Experiment, history: "History") -> dict[str, float]:
    """The one look at the test split, if there is one."""
    from kerasdl.training.loop import EvaluationLoop

    split, task = experiment.data.test, experiment.task
    if split is None:
        return {}
    sums = EvaluationLoop(task, split, experiment.runtime.jit).run()
    metrics = {f"test_{name}": value for name, value in task.results(sums).items()}
    experiment.tracker.metrics(metrics, len(history.losses))
    record.confusion(experiment.tracker, sums, experiment.data)
    return metrics


def build_trainer(experiment: Experiment, listeners: list, profile: Path | None) -> "Trainer":
    """Builds the trainer: compiled loops, schedule, augmentation, callbacks."""
    from kerasdl.data.augmentation import Augmentation
    from kerasdl.training.loop import EvaluationLoop, TrainingLoop
    from kerasdl.training.profiling import Profiling
    from kerasdl.training.trainer import Trainer

    config, task, examples, jit = experiment.config, experiment.task, experiment.data, experiment.runtime.jit
    steps, epochs = examples.train.steps, config.trainer.epochs
    schedule = instantiate(config.schedule, "schedule", steps_per_epoch=steps, total_steps=steps * epochs)
    augmentation = Augmentation(config.data.augmentation) or None
    return Trainer(
        task=task,
        loop=TrainingLoop(task, examples.train, schedule, augmentation, config.seed, jit),
        train=examples.train,
        validation=EvaluationLoop(task, examples.validation, jit) if examples.validation else None,
        callbacks=[instantiate(node, f"callbacks.{name}") for name, node in config.callbacks.items() if node],
        epochs=epochs,
        steps_per_call=config.trainer.steps_per_call,
        interval=config.tracking.interval,
        profiling=Profiling(config.trainer.profile, profile),
        listeners=listeners,
    )
