"""Records an experiment in the run's folder and in MLflow: configuration, data, curves, pictures and model."""

import importlib.metadata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from kerasdl import runs
from kerasdl.config.identity import config_hash, source_digests
from kerasdl.config.source import with_sources
from kerasdl.console import say, warn
from kerasdl.errors import ResumeError
from kerasdl.runs import RunFolder
from kerasdl.tracking import environment, secrets

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

    from kerasdl.data import Data
    from kerasdl.experiment.parts import Experiment
    from kerasdl.models.signature import Signature
    from kerasdl.tracking import Tracker
    from kerasdl.training.trainer import History

_NOT_CURVES = ("examples_per_second", "seconds")


def new_folder(config: DictConfig, name: str | None = None) -> RunFolder:
    """Names the folder of a new run; it is created when the run begins."""
    digests = source_digests(config)
    return RunFolder.new(config.paths.output_dir, _containers(config), config_hash(config, digests), name, digests)


def check_circumstances(experiment: "Experiment") -> None:
    """Warns if a run resumes with other versions, hardware or schedule than it began with: its result may differ.

    Raises:
        ResumeError: the data or the user's own code has changed since the run began.
    """
    runs.check_sources(experiment.folder, experiment.config)
    config, saved = experiment.config, experiment.folder.record.config
    before, now = experiment.folder.record.environment, _environment(experiment)
    if before.get("data") == experiment.data.info.former_fingerprint:  # recorded by an earlier version
        now["data"] = before["data"]
    changed = [f"{name} was {before[name]}, is {now[name]}" for name in before if before[name] != now[name]]
    if before and before["data"] != now["data"]:
        raise ResumeError(
            f"run {experiment.folder.id} was trained on other data: {'; '.join(changed)}. "
            "Use the same data.data_dir, or start a new run with resume=never."
        )
    if config.trainer.epochs != saved["trainer"]["epochs"] and config.schedule.get("length", 0) is None:
        warn(
            f"the schedule's length follows trainer.epochs, which was {saved['trainer']['epochs']}: from here on the "
            f"learning rate is that of a run of {config.trainer.epochs} epochs."
        )
    if unknown := runs.unknown_sources(experiment.folder.record, config):
        warn(
            f"run {experiment.folder.id} was started by a version that kept no source of {', '.join(unknown)}, so a "
            "change since then can't be detected."
        )
    if changed:
        warn(f"the result may differ in its last bits from that of an uninterrupted run: {'; '.join(changed)}.")


def begin(experiment: "Experiment", step: int, rollbacks: int) -> None:
    """Begins the run with what is known before training, or resumes it at `step`."""
    from kerasdl.data.preprocessing import to_json

    config, info, tracker = experiment.config, experiment.data.info, experiment.tracker
    containers = _containers(config)
    if not experiment.is_resumed:
        experiment.folder.create()
    params = dict(with_sources(containers, experiment.folder.record.sources))
    params["parameters"] = experiment.parameters
    params["device"] = experiment.runtime.name
    params["deterministic"] = experiment.runtime.deterministic
    tags = {"kerasdl.config_hash": experiment.config_hash, "kerasdl.data": experiment.data.describe()}
    tracker.start(
        experiment.folder,
        config_yaml=OmegaConf.to_yaml(config, resolve=True),
        params=params,
        tags=tags,
        resumed_at=step if experiment.is_resumed else None,
    )
    # After everything that may refuse: a run that can't be resumed stays unchanged.
    experiment.folder.update(
        status="RUNNING",
        config=containers,
        config_hash=experiment.config_hash,
        environment=experiment.folder.record.environment or _environment(experiment),
        fitted=to_json(experiment.fitted),
    )
    tracker.attempt = rollbacks
    tracker.dataset(
        name=info.name,
        version=info.version,
        digest=info.fingerprint,
        source=info.uri,
        context="train",
    )


def history(tracker: "Tracker", trained: "History") -> None:
    """Logs every step's loss and learning rate as `steps.csv`, and the learning curves as a picture."""
    from kerasdl.figures.learning_curves import learning_curves

    steps = enumerate(zip(trained.losses, trained.learning_rates, strict=True))
    lines = [f"{step},{loss!r},{rate!r}" for step, (loss, rate) in steps]
    tracker.text("\n".join(["step,loss,learning_rate", *lines, ""]), "steps.csv")
    curves = {name: values for name, values in trained.epochs.items() if name not in _NOT_CURVES}
    if curves:
        tracker.figure(learning_curves(curves), "learning_curves.png")


def pictures(tracker: "Tracker", found: "Mapping[str, Figure]", folder: str = "") -> None:
    """Logs a task's pictures, by file name, in a folder of the run's artifacts."""
    for name, figure in found.items():
        tracker.figure(figure, f"{folder}{name}")


def profile_folder(config: DictConfig) -> Path | None:
    """Returns the folder for the profiler's trace, a new one for each run, or None if none is asked for."""
    if not config.trainer.profile:
        return None
    return Path(config.paths.output_dir).expanduser() / "profiles" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def profile(tracker: "Tracker", folder: Path | None) -> None:
    """Logs the profiler's trace and prints its folder, or warns that training ended before the profile began."""
    if folder is None:
        return
    if folder.exists():
        tracker.file(folder, "profile")
        say(f"profile    {folder} (for TensorBoard's profile plug-in)")
    else:
        warn("nothing was profiled: training ended before the first step of trainer.profile.")


def _containers(config: DictConfig) -> dict[str, Any]:
    containers: Any = OmegaConf.to_container(config, resolve=True)
    containers.pop("sweep", None)  # a run doesn't depend on how it was found
    containers["paths"]["output_dir"] = str(Path(config.paths.output_dir).expanduser().resolve())
    containers["tracking"]["uri"] = config.tracking.uri and secrets.hide(config.tracking.uri)
    return containers


def _environment(experiment: "Experiment") -> dict[str, str]:
    """Returns what equal bits depend on, besides the configuration."""
    from kerasdl.data.decoding import VERSION

    packages = ("tensorflow", "keras", "numpy")
    return {
        **{package: importlib.metadata.version(package) for package in packages},
        "processor": environment.cpu_model(),
        "device": experiment.runtime.name,
        "deterministic": str(experiment.runtime.deterministic).lower(),
        "data": experiment.data.info.fingerprint,
        "decoder": str(VERSION),
    }


def weights(experiment: "Experiment") -> str:
    """Logs the fingerprint of the weights, and returns it."""
    from kerasdl.models.fingerprint import fingerprint
    from kerasdl.training.task import one_model

    digits = fingerprint(one_model(experiment.task.networks))
    experiment.tracker.tags({"kerasdl.weights": digits})
    return digits


def checkpoint_problems(folder: RunFolder, error: OSError | None) -> tuple[str, ...]:
    """Returns a line if the last checkpoint couldn't be written."""
    if error is None:
        return ()
    return (
        f"the last checkpoint couldn't be written to {folder.checkpoints} ({error.strerror or error}), so run "
        f"{folder.id} can be resumed or extended only from an earlier one. Free disk space there.",
    )


def model(tracker: "Tracker", serving: "keras.Model", signature: "Signature", data: "Data", step: int) -> None:
    """Logs the model that takes raw features, with two examples of them, and its signature."""
    split = data.test or data.train
    batch = split.batch(split.epoch(0), 0)
    examples = {name: batch[name][:2].numpy() for name in signature.inputs}
    example = next(iter(examples.values())) if len(examples) == 1 else examples
    tracker.model(serving, example, step, signature.to_metadata())
