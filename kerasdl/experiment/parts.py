"""The parts of an experiment and its result, shared by the modules that build, record and show it."""

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
    """The parts of an experiment, once they are built.

    Attributes:
        config: the composed configuration.
        data: the splits of the data set.
        fitted: statistics that were fitted on the training split before training.
        task: networks, optimizers and what a step computes.
        runtime: device, XLA, determinism.
        tracker: where results go.
        folder: the run's folder on this machine, with its checkpoints.
        is_resumed: whether the run is resumed rather than new.
        config_hash: identifies everything that decides the result.
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
    """The result of an experiment.

    Attributes:
        status: `FINISHED`, `KILLED` after a signal, or `PRUNED`.
        interrupted: the signal that stopped it, `SIGINT` (Ctrl-C), `SIGTERM` or `SIGHUP`, or `PRUNED`, or None.
        metrics: of the epoch whose weights the model has (`loss`, `val_accuracy`, ...): the last one, unless a callback
            restored earlier weights. For a run that was stopped, those of its last epoch. Also the test metrics
            (`test_loss`, ...).
        history: for each metric its value in each epoch.
        model: from raw features to what the task predicts; for a classifier of images, from uint8 images (n, height,
            width, channels) to class probabilities (n, classes).
        parameters: number of parameters of all networks.
        weights: 16 hexadecimal digits that identify the bits of its weights.
        run_id: the MLflow run's id; None with `tracking=none`.
        resume_id: what `resume=` takes to resume or extend the run.
        config_hash: identifies everything that decided the result.
        steps: number of training steps done, including those before a resume.
        seconds: how long it took, including loading the data and building the model.
        first_step_at: time (seconds since 1970) at which the first training step ended.
        problems: what couldn't be saved (a checkpoint, or something that MLflow refused), a line each.
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
