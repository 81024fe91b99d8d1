"""What is kept of an experiment: its configuration, data, curves, pictures and model, given to the tracker."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from kerasdl.console import say, warn

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Data
    from kerasdl.experiment import Experiment
    from kerasdl.tracking import Tracker
    from kerasdl.training.task import Sums
    from kerasdl.training.trainer import History

_NOT_CURVES = ("images_per_second", "seconds")


def begin(experiment: "Experiment") -> None:
    """Begins the run, with what is known before training."""
    config, info, tracker = experiment.config, experiment.data.info, experiment.tracker
    params: Any = OmegaConf.to_container(config, resolve=True)
    params["parameters"] = experiment.task.model.count_params()
    params["device"] = experiment.runtime.name
    params["deterministic"] = experiment.runtime.deterministic
    tags = {"kerasdl.config_hash": experiment.config_hash, "kerasdl.data": experiment.data.describe()}
    tracker.start(config_yaml=OmegaConf.to_yaml(config, resolve=True), params=params, tags=tags)
    tracker.dataset(
        name=info.name,
        version=info.version,
        digest=info.fingerprint,
        source=f"tfds://{info.name}/{info.version}",
        context="train",
    )


def history(tracker: "Tracker", trained: "History") -> None:
    """Keeps every step's loss and learning rate as `steps.csv`, and the epochs as a picture."""
    from kerasdl.analysis.curves import learning_curves

    steps = enumerate(zip(trained.losses, trained.learning_rates, strict=True))
    lines = [f"{step},{loss!r},{rate!r}" for step, (loss, rate) in steps]
    tracker.text("\n".join(["step,loss,learning_rate", *lines, ""]), "steps.csv")
    curves = {name: values for name, values in trained.epochs.items() if name not in _NOT_CURVES}
    if curves:
        tracker.figure(learning_curves(curves), "learning_curves.png")


def confusion(tracker: "Tracker", sums: "Sums", data: "Data") -> None:
    """Keeps the confusion matrix of the test split as a picture, if the task counts one."""
    from kerasdl.analysis.confusion import confusion_matrix

    if "confusion" in sums:
        tracker.figure(confusion_matrix(sums["confusion"].astype(int), data.info.class_names), "confusion_matrix.png")


def profile_folder(config: DictConfig) -> Path | None:
    """Returns the folder for the profiler's trace, a new one for each run, or None if none is asked for."""
    if not config.trainer.profile:
        return None
    return Path(config.paths.output_dir).expanduser() / "profiles" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def profile(tracker: "Tracker", folder: Path | None) -> None:
    """Keeps the profiler's trace, and says where it is; or that training ended before the first step to profile."""
    if folder is None:
        return
    if folder.exists():
        tracker.file(folder, "profile")
        say(f"profile    {folder} (TensorBoard's format, for its profile plug-in)")
    else:
        warn("nothing was profiled: training ended before the first step of trainer.profile.")


def model(tracker: "Tracker", serving: "keras.Model", data: "Data") -> None:
    """Keeps the model that takes raw images, with two of them as its example."""
    split = data.test or data.train
    images, _ = split.batch(split.epoch(0), 0)
    tracker.model(serving, images[:2].numpy())
