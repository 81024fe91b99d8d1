"""Training from the first epoch, or from a checkpoint, to the last: calls of the compiled loop, validation, callbacks,
checkpoints and reports.

The trainer measures and reports; it does not know its listeners (the terminal, MLflow).
"""

import time
from collections.abc import Sequence
from typing import Any

import keras

from kerasdl.console import warn
from kerasdl.models.fingerprint import fingerprint
from kerasdl.training.averaging import averaged_weights, take_averages
from kerasdl.training.callbacks import hooks_batches
from kerasdl.training.checkpoints import Checkpointing
from kerasdl.training.interrupts import Interrupts
from kerasdl.training.loop import EvaluationLoop, TrainingLoop
from kerasdl.training.pacing import Every, StepsPerExecution
from kerasdl.training.profiling import Profiling
from kerasdl.training.progress import History, Progress
from kerasdl.training.reports import Listener, Metrics, Reports
from kerasdl.training.rollback import NotFinite, Rollback, check_finite, training_error
from kerasdl.training.state import TrainingState
from kerasdl.training.task import Task, one_model

# Metrics of an epoch's training, which say nothing about the weights that it ended with.
_TRAINING_ONLY = ("learning_rate", "examples_per_second", "seconds")


class Trainer:
    """Trains a task.

    Args:
        task: what a step computes.
        loop: its compiled training loop.
        train: the training split.
        validation: the compiled evaluation of the validation split, or None.
        callbacks: Keras callbacks.
        epochs: number of epochs.
        steps_per_call: `auto` or a number.
        interval: steps between two reports of `on_interval`.
        validate_every: when validation runs in the middle of an epoch.
        checkpointing: when and where the state is saved.
        rollback: what to do when a loss isn't finite.
        profiling: which steps to profile.
        listeners: receive the reports.
    """

    def __init__(
        self,
        *,
        task: Task,
        loop: TrainingLoop,
        train: Any,
        validation: EvaluationLoop | None,
        callbacks: Sequence[keras.callbacks.Callback],
        epochs: int,
        steps_per_call: str | int,
        interval: int,
        validate_every: Every,
        checkpointing: Checkpointing,
        rollback: Rollback,
        profiling: Profiling,
        listeners: Sequence[Listener],
    ):
        self._task = task
        self._loop = loop
        self._train = train
        self._validation = validation
        self._epochs = epochs
        self._validate_every = validate_every
        self._checkpointing = checkpointing
        self._rollback = rollback
        self._profiling = profiling
        # A callback that hooks batches is called for each batch, as in Keras's own `fit`.
        self._by_batch = hooks_batches(callbacks)
        self._may_put_weights_back = bool(callbacks)
        self._calls = StepsPerExecution(1 if self._by_batch else steps_per_call)
        self._model = one_model(task.networks)
        self._model.compile(optimizer=next(iter(task.optimizers.values())))  # callbacks use model.optimizer
        self._callbacks = keras.callbacks.CallbackList(
            list(callbacks), model=self._model, epochs=epochs, steps=train.steps, verbose=0
        )
        self._progress = Progress(task.shapes(training=True))
        self._state = TrainingState(task, self._model, loop, callbacks, self._progress)
        self._reports = Reports(task, self._progress, interval, listeners)

    @property
    def history(self) -> History:
        return self._progress.history

    @property
    def checkpoint_error(self) -> OSError | None:
        """Why the last checkpoint couldn't be written; None if it was."""
        return self._checkpointing.error

    @property
    def rollbacks(self) -> int:
        """How often training returned to a checkpoint because a loss wasn't finite."""
        return self._progress.rollbacks

    def begin(self) -> int:
        """Calls `on_train_begin` of the callbacks and restores the last checkpoint, if there is one.

        Returns:
            The step at which training begins or resumes.

        Raises:
            ResumeError: the checkpoint is of another network.
        """
        self._model.stop_training = False
        self._callbacks.on_train_begin()
        if snapshot := self._checkpointing.newest():
            self._state.restore(snapshot)
        return self._progress.step

    def fit(self, interrupts: Interrupts) -> History:
        """Trains to the last epoch, a callback's stop, or a signal.

        Raises:
            TrainingError: a loss isn't finite, and no (further) rollback is allowed.
        """
        progress = self._progress
        if self._rollback.limit and not progress.step:  # so that a rollback is possible from the start
            self._checkpointing.save(self._state, progress)
        logs: Metrics = {}
        try:
            while progress.epoch < self._epochs and not interrupts.requested:
                if self._model.stop_training and not progress.done:
                    break
                try:
                    logs = self._run_epoch(interrupts) or logs
                except NotFinite as error:
                    self._roll_back(error)
            # Before on_train_end, so that training can be extended as if it had never ended.
            self._checkpointing.finish(self._state, progress)
        finally:
            self._profiling.stop()
        # An interval that a signal interrupts continues when the run is resumed.
        if not interrupts.requested:
            self._reports.interval()
        # The averaged weights are the result, unless a callback restores those of an earlier epoch.
        take_averages(self._task)
        self._callbacks.on_train_end(logs)
        return self.history

    def metrics_put_back(self, interrupts: Interrupts) -> Metrics:
        """Returns the metrics of the model after `fit`, if they aren't those of the last epoch, else {}.

        If a callback restored the weights of an earlier epoch, they are the metrics of that epoch; weights that no
        epoch ended with are measured on the validation split. {} also for a run that a signal stops.
        """
        progress, epochs = self._progress, self.history.epochs
        if interrupts.requested or not self._may_put_weights_back:
            return {}
        epoch = progress.measured.get(fingerprint(self._model))
        if epoch == progress.epoch - 1:
            return {}
        if epoch is not None:
            return {name: values[epoch] for name, values in epochs.items() if name not in _TRAINING_ONLY}
        return self._measure(interrupts) or {}

    def _run_epoch(self, interrupts: Interrupts) -> Metrics | None:
        """Trains the rest of the present epoch, validates and reports it; None if a signal came before its end."""
        progress = self._progress
        if not progress.epoch_begun:
            self._callbacks.on_epoch_begin(progress.epoch)
            progress.epoch_begun = True
        self._train_epoch(interrupts)
        if interrupts.requested:
            return None
        tally = progress.epoch_tally
        metrics = {
            **self._task.results(tally.sums),
            "learning_rate": float(self.history.learning_rates[-1]),
            "examples_per_second": tally.examples_per_second(),
            "seconds": tally.seconds,
        }
        # Validation and the callbacks at an epoch's end see the averaged weights, if the optimizer keeps them.
        with averaged_weights(self._task):
            if self._validation is not None:
                results = self._validate(interrupts)
                if results is None:
                    return None
                metrics |= results
            if self._may_put_weights_back:
                progress.measured[fingerprint(self._model)] = progress.epoch
            self._reports.epoch(metrics)
            self._callbacks.on_epoch_end(progress.epoch, dict(metrics))
        progress.end_epoch(metrics)
        self._checkpointing.after_epoch(self._state, progress, metrics)
        return metrics

    def _validate(self, interrupts: Interrupts) -> Metrics | None:
        """Measures as `_measure` does, and calls the callbacks."""
        self._callbacks.on_test_begin()
        results = self._measure(interrupts)
        if results is not None:
            self._callbacks.on_test_end({name.removeprefix("val_"): value for name, value in results.items()})
        return results

    def _measure(self, interrupts: Interrupts) -> Metrics | None:
        """Returns `val_...` metrics of the present weights; None without validation, or if a signal came first."""
        if self._validation is None:
            return None
        try:
            results = self._task.results(self._validation.run(stop=lambda: bool(interrupts.requested)).sums)
        except KeyboardInterrupt:
            interrupts.requested = interrupts.requested or "SIGINT"
            return None
        return {f"val_{name}": value for name, value in results.items()}

    def _train_epoch(self, interrupts: Interrupts) -> None:
        """Runs the remaining steps of the present epoch, and what is due between them."""
        progress, steps_per_epoch = self._progress, self._train.steps
        mark = time.perf_counter()
        handle = self._train.epoch(progress.epoch, progress.done)
        if progress.done:
            mark += self._validate_within_epoch(interrupts)  # a signal may have interrupted it
        while progress.done < steps_per_epoch and not interrupts.requested:
            if self._model.stop_training:
                break
            self._profiling.at(progress.step)
            count = self._calls.next(int(min(steps_per_epoch - progress.done, *self._distances())))
            if self._by_batch:
                self._callbacks.on_train_batch_begin(progress.done)
            called = time.perf_counter()
            totals = (progress.epoch_tally.sums, progress.interval_tally.sums)
            steps = self._loop.run(handle, progress.done, count, *totals)
            now = time.perf_counter()
            self._calls.record(count, now - called)
            self.history.first_step_at = self.history.first_step_at or time.time()
            # The time includes that of listeners and callbacks since the last call.
            progress.record(steps.losses, steps.learning_rates, steps.totals, now - mark)
            mark = now
            check_finite(progress, self._train)
            so_far = self._task.results(progress.epoch_tally.sums)
            if self._by_batch:
                self._callbacks.on_train_batch_end(progress.done - 1, so_far)
            self._reports.call(so_far)
            mark += self._do_what_is_due(interrupts)

    def _distances(self) -> list[float]:
        """Returns after how many steps something is due, so that calls end there."""
        step = self._progress.step
        return [
            self._reports.distance(),
            self._profiling.distance(step),
            self._validate_every.distance(step),
            self._checkpointing.distance(step),
        ]

    def _do_what_is_due(self, interrupts: Interrupts) -> float:
        """Reports, validates and saves, if due; returns the seconds that don't count as training."""
        progress = self._progress
        self._reports.interval_if_over()
        if progress.done == self._train.steps:
            return 0.0  # validation and checkpoint wait for the end of the epoch
        seconds = self._validate_within_epoch(interrupts)
        if not interrupts.requested:
            self._checkpointing.after_call(self._state, progress)
        return seconds

    def _validate_within_epoch(self, interrupts: Interrupts) -> float:
        """Validates if that is due and hasn't been done at this step; returns how many seconds it took."""
        progress, start = self._progress, time.perf_counter()
        if self._validation is None or not self._validate_every.due(progress.step):
            return 0.0
        if progress.validated_at == progress.step:
            return 0.0
        with averaged_weights(self._task):
            results = self._validate(interrupts)
        if results is not None:
            progress.validated_at = progress.step
            self._reports.validation(results)
        return time.perf_counter() - start

    def _roll_back(self, error: NotFinite) -> None:
        """Returns to the last good checkpoint with a smaller learning rate, if that is allowed.

        Raises:
            TrainingError: it isn't allowed.
        """
        progress, rollback = self._progress, self._rollback
        snapshot = self._checkpointing.last_good(progress.step)
        if snapshot is None or progress.rollbacks >= rollback.limit:
            self._reports.interval()  # the last metrics of this training
            raise training_error(error, snapshot, progress.rollbacks) from None
        attempt = progress.rollbacks + 1
        self._state.restore(snapshot)
        # The learning rate scale in the checkpoint includes the rollbacks before it.
        self._loop.scale_learning_rate(rollback.factor ** (attempt - progress.rollbacks))
        progress.rollbacks = attempt
        self._reports.rollback()
        warn(
            f"{error}; returned to step {progress.step}, with the learning rate times {rollback.factor**attempt:g} "
            f"(rollback {attempt} of {rollback.limit})."
        )
