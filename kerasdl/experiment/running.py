"""One experiment, from a configuration to a result: the story that the rest of the package fills in.

    from kerasdl import compose, run
    result = run(compose(["model=cnn", "data=mnist"]))

Everything that can be refused is refused first, in the order of its cost; then data, model, training, the one look at
the test split, and what is kept. The command line and a notebook make the same call. `resume=` lets a run go on where
a checkpoint of it stands, with nothing else changed.
"""

import contextlib
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from kerasdl import data, runs, tracking
from kerasdl.config.checks import check
from kerasdl.config.identity import config_hash
from kerasdl.console import Stopwatch, complain, say, warn
from kerasdl.errors import TrackingError
from kerasdl.experiment import record, terminal
from kerasdl.experiment.assembly import build_pictures, build_task, build_trainer
from kerasdl.experiment.parts import Experiment, Result
from kerasdl.streams import lasting
from kerasdl.training import runtime
from kerasdl.training.interrupts import PRUNED, URGENT, Interrupts
from kerasdl.training.pruning import Pruning, ShouldPrune

if TYPE_CHECKING:
    from kerasdl.tracking import Tracker
    from kerasdl.training.listener import Listener
    from kerasdl.training.trainer import Trainer

# How long the end of a run that a signal stopped waits for a tracking server that is away: the next signal kills.
_PATIENCE_AFTER_SIGNAL_SECONDS = 1.0


@lasting()
def run(
    config: DictConfig, *, name: str | None = None, should_prune: ShouldPrune | None = None, threads: int | None = None
) -> Result:
    """Runs the experiment that `config` describes, or goes on with the run that `config.resume` names.

    Args:
        config: a composed configuration, from the command line or `kerasdl.compose`.
        name: of the run's folder, instead of `config.resume`: the run that has it goes on, else a new one gets it.
        should_prune: receives the epochs and steps that are done and the metrics of each evaluation, and returns
            whether to end the run early; after the last epoch the answer is ignored.
        threads: that TensorFlow may use where `trainer.threads` is null; None: all cores.

    Raises:
        UserError: something that the user can mend; its message says what and how.
    """
    watch = Stopwatch()
    check(config)
    resumed = runs.choose(config) if name is None else runs.named(config, name)
    folder = resumed or record.new_folder(config, name)
    try:
        tracker = tracking.create(config)
        _check(tracker, resumed)
        data.check(config.data)
        with runtime.precision_and_device(config.trainer, threads) as settings:
            examples = data.load(config.data, config.seed, config.paths.cache_dir, say)
            task, fitted = build_task(config, examples, settings, folder.record.fitted)
            experiment = Experiment(
                config, examples, fitted, task, settings, tracker, folder, resumed is not None, config_hash(config)
            )
            record.check_circumstances(experiment)
            terminal.announce(experiment)
            result = _train_and_test(experiment, watch, should_prune)
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
        warn(str(error))


def _train_and_test(experiment: Experiment, watch: Stopwatch, should_prune: ShouldPrune | None) -> Result:
    config, tracker = experiment.config, experiment.tracker
    display = terminal.Display(config.trainer.epochs, experiment.data.train.steps)
    profile = record.profile_folder(config)
    interrupts = Interrupts()
    listeners: list[Listener] = [display, tracking.TrackingListener(tracker)]
    if should_prune:
        listeners.append(Pruning(should_prune, interrupts, config.trainer.epochs))
    if experiment.task.pictures_every:
        listeners.append(build_pictures(experiment))
    trainer = build_trainer(experiment, listeners, profile)
    step = trainer.begin()
    with interrupts:
        if experiment.is_resumed:
            terminal.announce_resumption(experiment, step)
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


def _conclude(experiment: Experiment, trainer: "Trainer", interrupts: Interrupts, watch: Stopwatch) -> Result:
    """Tests and keeps the trained model, unless a signal stopped it: then the run waits to be resumed."""
    config, history = experiment.config, trainer.history
    metrics = {name: values[-1] for name, values in history.epochs.items()}
    if put_back := trainer.metrics_put_back(interrupts):
        metrics |= put_back
        experiment.tracker.end_metrics(put_back, len(history.losses))
        terminal.announce_weights_put_back(put_back)
    if not interrupts.requested:
        metrics |= _test(experiment, len(history.losses), interrupts)
    model, signature = experiment.task.serving()
    weights = record.weights(experiment)
    if config.tracking.log_model and not interrupts.requested:
        record.model(experiment.tracker, model, signature, experiment.data, len(history.losses))
    status = PRUNED if interrupts.requested == PRUNED else "KILLED" if interrupts.requested else "FINISHED"
    return Result(
        status=status,
        interrupted=interrupts.requested,
        metrics=metrics,
        history=history.epochs,
        model=model,
        parameters=experiment.parameters,
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
        evaluated = EvaluationLoop(task, split, experiment.runtime.jit).run(stop=lambda: bool(interrupts.requested))
    except KeyboardInterrupt:
        return {}
    metrics = {f"test_{name}": value for name, value in task.results(evaluated.sums).items()}
    experiment.tracker.metrics(metrics, step)
    record.pictures(experiment.tracker, task.pictures(evaluated))
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
        known = {**result.metrics, "parameters": float(result.parameters)}
        experiment.folder.update(status=result.status, metrics=known)
    except OSError as error:
        problems.append(f"{experiment.folder.path} can't be written: {error.strerror or error}. Make room there.")
    terminal.conclude(experiment, result)
    for problem in problems:
        complain(problem)
    return replace(result, problems=tuple(problems))


def _give_up(experiment: Experiment, error: BaseException) -> None:
    """Ends the run of an experiment that `error` ended; failures of MLflow or of the disk must not hide that one."""
    status = "FAILED" if isinstance(error, Exception) else "KILLED"
    say(f"{status.lower():<10} run {experiment.folder.id}")
    with contextlib.suppress(OSError):
        experiment.folder.update(status=status)
    try:
        trace = "".join(traceback.format_exception(error)) if status == "FAILED" else None
        experiment.tracker.finish(status, trace)
    except TrackingError as failure:
        if failure is not error:
            warn(str(failure))
