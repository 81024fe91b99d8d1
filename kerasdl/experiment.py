"""One experiment, from a configuration to a result: the story that the rest of the package fills in.

    from kerasdl import compose, run
    result = run(compose(["model=cnn", "data=mnist"]))

Everything that can be refused is refused first, in the order of its cost; then data, model, training, the one look at
the test split, and what MLflow keeps. The command line and a notebook make the same call.
"""

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from kerasdl import console, data, tracking
from kerasdl.config.checks import check
from kerasdl.config.identity import config_hash
from kerasdl.training import runtime

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kerasdl.data import Data
    from kerasdl.tracking import Tracker
    from kerasdl.training.task import Task
    from kerasdl.training.trainer import History, Trainer


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
    """

    status: str
    metrics: dict[str, float]
    history: dict[str, list[float]]
    model: "keras.Model"
    run_id: str | None
    config_hash: str
    seconds: float
    first_step_at: float


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
        examples = data.load(config.data, config.seed, config.paths.cache_dir, _say)
        task = build_task(config, examples)
        _announce(config, examples, task, settings, tracker)
        try:
            return _train_and_test(config, examples, task, settings, tracker, watch)
        except KeyboardInterrupt:
            tracker.finish("KILLED")
            raise
        except Exception:
            tracker.finish("FAILED", traceback.format_exc())
            raise


def build_task(config: DictConfig, examples: "Data") -> "Task":
    """Builds the network for the data's shape, its optimizer, and the task that trains it."""
    import keras

    from kerasdl.config.instantiate import instantiate
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
        normalization=normalization(config.data.normalization),
        classes=info.classes,
        class_counts=examples.train.class_counts,
    )


def _train_and_test(
    config: DictConfig,
    examples: "Data",
    task: "Task",
    settings: runtime.Runtime,
    tracker: "Tracker",
    watch: console.Stopwatch,
) -> Result:
    from kerasdl.training.loop import EvaluationLoop

    identity = config_hash(config)
    display = console.Display(config.trainer.epochs, examples.train.steps)
    profile = Path(config.paths.output_dir) / "profiles" / identity
    trainer = _trainer(config, examples, task, settings, [display, tracking.TrackingListener(tracker)], profile)
    _begin(config, examples, task, settings, tracker, identity)
    with display, runtime.numerics_checked(config.trainer.check_numerics):
        history = trainer.fit()
    metrics = {name: values[-1] for name, values in history.epochs.items()}
    if examples.test is not None and not history.interrupted:
        sums = EvaluationLoop(task, examples.test, settings.jit).run()
        test = {f"test_{name}": value for name, value in task.results(sums).items()}
        metrics.update(test)
        tracker.metrics(test, len(history.losses))
        _log_confusion(tracker, sums, examples)
    _log_history(tracker, history)
    if config.trainer.profile and profile.exists():
        tracker.file(profile, "profile")
    model = task.serving_model()
    if config.tracking.log_model:
        tracker.model(model, _example_images(examples))
    status = "KILLED" if history.interrupted else "FINISHED"
    run_id = tracker.run_id
    tracker.finish(status)
    result = Result(status, metrics, history.epochs, model, run_id, identity, watch.seconds(), history.first_step_at)
    _conclude(result, examples, tracker)
    return result


def _trainer(
    config: DictConfig, examples: "Data", task: "Task", settings: runtime.Runtime, listeners: list, profile: Path
) -> "Trainer":
    from kerasdl.config.instantiate import instantiate
    from kerasdl.data.augmentation import Augmentation
    from kerasdl.training.loop import EvaluationLoop, TrainingLoop
    from kerasdl.training.profiling import Profiling
    from kerasdl.training.trainer import Trainer

    steps = examples.train.steps
    schedule = instantiate(
        config.schedule, "schedule", steps_per_epoch=steps, total_steps=steps * config.trainer.epochs
    )
    augmentation = Augmentation(config.data.augmentation)
    loop = TrainingLoop(task, examples.train, schedule, augmentation or None, config.seed, settings.jit)
    validation = None
    if examples.validation is not None:
        validation = EvaluationLoop(task, examples.validation, settings.jit)
    callbacks = [
        instantiate(node, f"callbacks.{name}") for name, node in config.callbacks.items() if node is not None
    ]
    return Trainer(
        task=task,
        loop=loop,
        train=examples.train,
        validation=validation,
        callbacks=callbacks,
        epochs=config.trainer.epochs,
        steps_per_call=config.trainer.steps_per_call,
        interval=config.tracking.interval,
        profiling=Profiling(config.trainer.profile, str(profile)),
        listeners=listeners,
    )


def _announce(
    config: DictConfig, examples: "Data", task: "Task", settings: runtime.Runtime, tracker: "Tracker"
) -> None:
    model, optimizer = task.model, config.optimizer
    rate = f"learning rate {optimizer.learning_rate:g} ({_name(config.schedule)})"
    momentum = f", momentum {optimizer.momentum:g}" if "momentum" in optimizer else ""
    precision = f"{config.trainer.precision}{', XLA' if settings.jit else ''}"
    console.show(
        {
            "data": examples.describe(),
            "model": f"{model.name} ({config.model.style}), {model.count_params():,} parameters"
            if "style" in config.model
            else f"{model.name}, {model.count_params():,} parameters",
            "optimizer": f"{_name(optimizer)}, {rate}{momentum}, batch {config.data.batch_size}",
            "device": f"{settings.name}, {precision}",
            "results": tracker.describe(),
        }
    )


def _begin(
    config: DictConfig, examples: "Data", task: "Task", settings: runtime.Runtime, tracker: "Tracker", identity: str
) -> None:
    params: Any = OmegaConf.to_container(config, resolve=True)
    params["parameters"] = task.model.count_params()
    params["device"] = settings.name
    tags = {"kerasdl.config_hash": identity}
    tracker.start(config_yaml=OmegaConf.to_yaml(config, resolve=True), params=params, tags=tags)
    info = examples.info
    tracker.dataset(
        name=info.name,
        version=info.version,
        digest=info.fingerprint,
        source=f"tfds://{info.name}/{info.version}",
        context="train",
    )


def _log_history(tracker: "Tracker", history: "History") -> None:
    from kerasdl.analysis.curves import learning_curves

    rows = enumerate(zip(history.losses, history.learning_rates, strict=True))
    lines = [f"{step},{loss!r},{rate!r}" for step, (loss, rate) in rows]
    tracker.text("\n".join(["step,loss,learning_rate", *lines, ""]), "steps.csv")
    if history.epochs:
        tracker.figure(learning_curves(history.epochs), "learning_curves.png")


def _log_confusion(tracker: "Tracker", sums: dict[str, "np.ndarray"], examples: "Data") -> None:
    from kerasdl.analysis.confusion import confusion_matrix

    if "confusion" in sums:
        figure = confusion_matrix(sums["confusion"].astype(int), examples.info.class_names)
        tracker.figure(figure, "confusion_matrix.png")


def _example_images(examples: "Data") -> "np.ndarray":
    split = examples.test or examples.train
    images, _ = split.batch(split.epoch(0), 0)
    return images[:2].numpy()


def _conclude(result: Result, examples: "Data", tracker: "Tracker") -> None:
    rows = {}
    if result.status == "KILLED":
        rows["stopped"] = f"by Ctrl-C after {len(result.history.get('loss', []))} full epochs; the run is marked KILLED"
    elif examples.test is not None:
        rows["test"] = console.test_row(result.metrics, examples.test.size)
    rows["time"] = console.duration(result.seconds)
    if result.run_id:
        rows["run"] = result.run_id
        rows["browse"] = tracker.ui_command()
    console.show(rows)


def _name(node: DictConfig) -> str:
    return str(node._target_).rpartition(".")[2]


def _say(line: str) -> None:
    print(line, flush=True)
