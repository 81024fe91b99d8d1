"""One experiment, from a configuration to a result.

    from kerasdl import compose, run
    result = run(compose(["model=cnn", "data=mnist"]))

Mistakes are refused first, the cheapest checks before the expensive ones. Then come data, model, training, one
evaluation on the test split, and logging. The command line and a notebook make the same call. `resume=` resumes a run
from its last checkpoint, with nothing else changed.
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
    from kerasdl.training.reports import Listener
    from kerasdl.training.trainer import Trainer

# How long a run that was stopped by a signal waits for an unavailable tracking server: the next signal kills it.
_PATIENCE_AFTER_SIGNAL_SECONDS = 1.0


@lasting()
def run(
    config: DictConfig, *, name: str | None = None, should_prune: ShouldPrune | None = None, threads: int | None = None
) -> Result:
    """Runs the experiment that `config` describes, or resumes the run that `config.resume` names.

    Args:
        config: a composed configuration, from the command line or `kerasdl.compose`.
        name: of the run's folder, instead of `config.resume`: the run of that name is resumed if there is one.
        should_prune: receives the epochs and steps that are done and the metrics of each evaluation, and returns
            whether to end the run early; after the last epoch the answer is ignored.
        threads: how many TensorFlow may use if `trainer.threads` is null; None: all cores.

    Raises:
        UserError: a mistake that the user can correct; its message says how.
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
    """Raises TrackingError if results can't be logged; a resumed run may start while its server is unavailable."""
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
                if interrupts.requested not in URGENT:  # a preempted process has no time for pictures
                    record.history(tracker, trainer.history)
                record.profile(tracker, profile)
            return _conclude(experiment, trainer, interrupts, watch)
        except BaseException as error:
            _end_failed(experiment, error)
            raise


def _conclude(experiment: Experiment, trainer: "Trainer", interrupts: Interrupts, watch: Stopwatch) -> Result:
    """Tests and logs the trained model, unless training was stopped: then the run can be resumed."""
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
    """Returns the metrics of the test split, which is used only here; {} without one, or if a signal comes first."""
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
    """Ends the run and shows the result, which is returned even if MLflow can't store all of it."""
    problems = list(result.problems)
    try:
        experiment.tracker.tags({"kerasdl.state": result.status})  # MLflow itself has no status for a pruned run
        if result.status == "FINISHED":
            experiment.tracker.finish("FINISHED")
        elif result.status == PRUNED:
            experiment.tracker.finish("KILLED")
        else:
            experiment.tracker.finish("KILLED", patience=_PATIENCE_AFTER_SIGNAL_SECONDS)
    except TrackingError as error:
        problems.append(str(error))
    # Last: if the process is killed before this, `resume=auto` resumes the run.
    try:
        known = {**result.metrics, "parameters": float(result.parameters)}
        experiment.folder.update(status=result.status, metrics=known)
    except OSError as error:
        problems.append(f"{experiment.folder.path} can't be written: {error.strerror or error}. Free disk space there.")
    terminal.conclude(experiment, result)
    for problem in problems:
        complain(problem)
    return replace(result, problems=tuple(problems))


def _end_failed(experiment: Experiment, error: BaseException) -> None:
    """Ends a run after `error`, which failures of MLflow or of the disk must not hide."""
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
