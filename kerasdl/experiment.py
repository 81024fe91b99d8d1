"""One experiment, from a configuration to a result: the story that the rest of the package fills in.

    from kerasdl import compose, run
    result = run(compose(["model=cnn", "data=mnist"]))

Everything that can be refused is refused first, in the order of its cost; then data, model, training, the one look at
the test split, and what is kept. The command line and a notebook make the same call. `resume=` lets a run go on where
a checkpoint of it stands, with nothing else changed.
"""

import contextlib
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from kerasdl import console, data, record, runs, tracking
from kerasdl.assembly import build_task, build_trainer
from kerasdl.config.checks import check
from kerasdl.config.identity import config_hash
from kerasdl.errors import TrackingError
from kerasdl.streams import lasting
from kerasdl.training import runtime
from kerasdl.training.interrupts import PRUNED, URGENT, Interrupts
from kerasdl.training.pruning import Judge, Pruning

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Data
    from kerasdl.tracking import Tracker
    from kerasdl.training.listener import Listener
    from kerasdl.training.task import Task
    from kerasdl.training.trainer import Trainer

# How long the end of a run that a signal stopped waits for a tracking server that is away: the next signal kills.
_PATIENCE_AFTER_SIGNAL_SECONDS = 1.0


@dataclass(frozen=True)
class Experiment:
    """What an experiment is made of, once its parts are built.

    Attributes:
        config: the composed configuration.
        data: its splits.
        task: network, optimizer and what a step computes.
        runtime: device, XLA, determinism.
        tracker: where results go.
        folder: the run's folder on this machine, with its checkpoints.
        is_resumed: whether the run goes on; else it is a new one.
        config_hash: identity of what decides the result.
    """

    config: DictConfig
    data: "Data"
    task: "Task"
    runtime: runtime.Runtime
    tracker: "Tracker"
    folder: runs.RunFolder
    is_resumed: bool
    config_hash: str


@dataclass(frozen=True)
class Result:
    """What an experiment gave.

    Attributes:
        status: `FINISHED`, `KILLED` after a signal, or `PRUNED`.
        interrupted: the signal that stopped it, `SIGINT` (Ctrl-C), `SIGTERM` or `SIGHUP`, or `PRUNED`, or None.
        metrics: those of the epoch whose weights the model has (`loss`, `val_accuracy`, ...): the last one, unless a
            callback put earlier weights back. Of a run that was stopped, the last epoch's. And the test's (`test_loss`,
            ...).
        history: for each metric its value in each epoch.
        model: from raw uint8 images (n, height, width, channels) to class probabilities (n, classes).
        weights: 16 hexadecimal digits that name the bits of its weights.
        run_id: the MLflow run's id; None with `tracking=none`.
        resume_id: what `resume=` takes to continue or prolong the run.
        config_hash: identity of what decided the result.
        steps: training steps that are done, those before a resume included.
        seconds: how long it took, data and model included.
        first_step_at: time (seconds since 1970) at which the first training step was done.
        problems: what couldn't be kept (a checkpoint, something that MLflow didn't take), a line each.
    """

    status: str
    interrupted: str | None
    metrics: dict[str, float]
    history: dict[str, list[float]]
    model: "keras.Model"
    weights: str
    run_id: str | None
    resume_id: str
    config_hash: str
    steps: int
    seconds: float
    first_step_at: float
    problems: tuple[str, ...] = ()


@lasting()
def run(
    config: DictConfig, *, name: str | None = None, judge: Judge | None = None, threads: int | None = None
) -> Result:
    """Runs the experiment that `config` describes, or goes on with the run that `config.resume` names.

    Args:
        config: a composed configuration, from the command line or `kerasdl.compose`.
        name: of the run's folder, instead of `config.resume`: the run that has it goes on, else a new one gets it.
        judge: is told of each evaluation but the last, and says whether the run shall be pruned.
        threads: that TensorFlow may use where `trainer.threads` is null; None: all cores.

    Raises:
        UserError: something that the user can mend; its message says what and how.
    """
    watch = console.Stopwatch()
    check(config)
    resumed = runs.choose(config) if name is None else runs.named(config, name)
    folder = resumed or record.new_folder(config, name)
    try:
        tracker = tracking.create(config)
        _check(tracker, resumed)
        data.check(config.data)
        with runtime.precision_and_device(config.trainer, threads) as settings:
            examples = data.load(config.data, config.seed, config.paths.cache_dir, console.say)
            data.check_classes(config.data, examples, console.warn)
            task = build_task(config, examples)
            experiment = Experiment(
                config, examples, task, settings, tracker, folder, resumed is not None, config_hash(config)
            )
            record.check_circumstances(experiment)
            console.announce(experiment)
            result = _train_and_test(experiment, watch, judge)
        return _finish(experiment, result)
    finally:
        folder.unlock()


def _check(tracker: "Tracker", resumed: runs.RunFolder | None) -> None:
    """Raises TrackingError if results can't be kept; a run that goes on may wait for a server that is away."""
    try:
        tracker.check(resumed.record.run_id if resumed else None)
    except tracking.Away as error:
        if resumed is None:
            raise
        console.warn(str(error))


def _train_and_test(experiment: Experiment, watch: console.Stopwatch, judge: Judge | None) -> Result:
    config, tracker = experiment.config, experiment.tracker
    display = console.Display(config.trainer.epochs, experiment.data.train.steps)
    profile = record.profile_folder(config)
    interrupts = Interrupts()
    listeners: list[Listener] = [display, tracking.TrackingListener(tracker)]
    if judge:
        listeners.append(Pruning(judge, interrupts, config.trainer.epochs))
    trainer = build_trainer(experiment, listeners, profile)
    step = trainer.begin()
    with interrupts:
        if experiment.is_resumed:
            console.announce_resumption(experiment, step)
        record.begin(experiment, step, trainer.rollbacks)
        display.begin(step)
        try:
            try:
                with display, runtime.numerics_checked(config.trainer.check_numerics):
                    trainer.fit(interrupts)
            finally:
                if interrupts.requested not in URGENT:  # who is preempted has no time for pictures
                    record.history(tracker, trainer.history)
                record.profile(tracker, profile)
            return _conclude(experiment, trainer, interrupts, watch)
        except BaseException as error:
            _give_up(experiment, error)
            raise


def _conclude(experiment: Experiment, trainer: "Trainer", interrupts: Interrupts, watch: console.Stopwatch) -> Result:
    """Tests and keeps the trained model, unless a signal stopped it: then the run waits to be resumed."""
    config, history = experiment.config, trainer.history
    metrics = {name: values[-1] for name, values in history.epochs.items()}
    if put_back := trainer.metrics_put_back(interrupts):
        metrics |= put_back
        experiment.tracker.end_metrics(put_back, len(history.losses))
        console.announce_weights_put_back(put_back)
    if not interrupts.requested:
        metrics |= _test(experiment, len(history.losses), interrupts)
    model = experiment.task.serving_model()
    weights = record.weights(experiment)
    if config.tracking.log_model and not interrupts.requested:
        record.model(experiment.tracker, model, experiment.data, len(history.losses))
    status = PRUNED if interrupts.requested == PRUNED else "KILLED" if interrupts.requested else "FINISHED"
    return Result(
        status=status,
        interrupted=interrupts.requested,
        metrics=metrics,
        history=history.epochs,
        model=model,
        weights=weights,
        run_id=experiment.tracker.run_id,
        resume_id=experiment.folder.id,
        config_hash=experiment.config_hash,
        steps=len(history.losses),
        seconds=watch.seconds(),
        first_step_at=history.first_step_at,
        problems=record.checkpoint_problems(experiment.folder, trainer.checkpoint_error),
    )


def _test(experiment: Experiment, step: int, interrupts: Interrupts) -> dict[str, float]:
    """The one look at the test split, if there is one; nothing if a signal comes first."""
    from kerasdl.training.loop import EvaluationLoop

    split, task = experiment.data.test, experiment.task
    if split is None:
        return {}
    try:
        sums = EvaluationLoop(task, split, experiment.runtime.jit).run(stop=lambda: bool(interrupts.requested))
    except KeyboardInterrupt:
        return {}
    metrics = {f"test_{name}": value for name, value in task.results(sums).items()}
    experiment.tracker.metrics(metrics, step)
    record.confusion(experiment.tracker, sums, experiment.data)
    return metrics


def _finish(experiment: Experiment, result: Result) -> Result:
    """Ends the run and shows the result; the result is returned even if MLflow can't take the last of it."""
    problems = list(result.problems)
    try:
        experiment.tracker.tags({"kerasdl.state": result.status})  # MLflow itself has no word for a pruned run
        if result.status == "FINISHED":
            experiment.tracker.finish("FINISHED")
        elif result.status == PRUNED:
            experiment.tracker.finish("KILLED")
        else:
            experiment.tracker.finish("KILLED", patience=_PATIENCE_AFTER_SIGNAL_SECONDS)
    except TrackingError as error:
        problems.append(str(error))
    # Last: a process that is killed before leaves a run that `resume=auto` goes on with.
    try:
        known = {**result.metrics, "parameters": float(result.model.count_params())}
        experiment.folder.update(status=result.status, metrics=known)
    except OSError as error:
        problems.append(f"{experiment.folder.path} can't be written: {error.strerror or error}. Make room there.")
    console.conclude(experiment, result)
    for problem in problems:
        console.complain(problem)
    return replace(result, problems=tuple(problems))


def _give_up(experiment: Experiment, error: BaseException) -> None:
    """Ends the run of an experiment that `error` ended; failures of MLflow or of the disk must not hide that one."""
    status = "FAILED" if isinstance(error, Exception) else "KILLED"
    console.say(f"{status.lower():<10} run {experiment.folder.id}")
    with contextlib.suppress(OSError):
        experiment.folder.update(status=status)
    try:
        trace = "".join(traceback.format_exception(error)) if status == "FAILED" else None
        experiment.tracker.finish(status, trace)
    except TrackingError as failure:
        if failure is not error:
            console.warn(str(failure))
