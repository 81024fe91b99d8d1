"""What an experiment is made of, and what it gives: known to all that build, record and show it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import DictConfig

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Data
    from kerasdl.data.preprocessing import Fitted
    from kerasdl.runs import RunFolder
    from kerasdl.tracking import Tracker
    from kerasdl.training.runtime import Runtime
    from kerasdl.training.task import Task


@dataclass(frozen=True)
class Experiment:
    """What an experiment is made of, once its parts are built.

    Attributes:
        config: the composed configuration.
        data: its splits.
        fitted: what was fitted on the training split before training.
        task: networks, optimizers and what a step computes.
        runtime: device, XLA, determinism.
        tracker: where results go.
        folder: the run's folder on this machine, with its checkpoints.
        is_resumed: whether the run is resumed; else it is a new one.
        config_hash: identity of what decides the result.
    """

    config: DictConfig
    data: "Data"
    fitted: "Fitted"
    task: "Task"
    runtime: "Runtime"
    tracker: "Tracker"
    folder: "RunFolder"
    is_resumed: bool
    config_hash: str

    @property
    def parameters(self) -> int:
        """The number of parameters of all networks."""
        return sum(network.count_params() for network in self.task.networks.values())


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
        model: from raw features to what the task hands over: for a classifier of images from uint8 images (n, height,
            width, channels) to class probabilities (n, classes).
        parameters: number of parameters of all networks.
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
    parameters: int
    weights: str
    run_id: str | None
    resume_id: str
    config_hash: str
    steps: int
    seconds: float
    first_step_at: float
    problems: tuple[str, ...] = ()
