"""From a run in MLflow to its network: its configuration, and the model that it logged or one of its checkpoints."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from kerasdl import console, data, runs
from kerasdl.config import typed
from kerasdl.config.schema import Paths
from kerasdl.errors import ResumeError, TrackingError
from kerasdl.tracking import logged_model
from kerasdl.tracking.lookup import Found, require_model

if TYPE_CHECKING:
    import keras

_NEEDED = ("model", "data", "task", "trainer", "seed", "paths")


def configuration(found: Found) -> DictConfig:
    """Returns the configuration that a run keeps; where decoded examples are kept is this machine's.

    Raises:
        TrackingError: it has none, or a damaged one.
    """
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as folder:
        path = found.artifacts.fetch("config.yaml", Path(folder))
        try:
            config = OmegaConf.load(path)
        except Exception as error:  # whatever YAML makes of a damaged file
            raise TrackingError(f"config.yaml of run {found.run.id} can't be read ({error}).") from error
    if not isinstance(config, DictConfig) or any(key not in config for key in _NEEDED):
        raise TrackingError(f"config.yaml of run {found.run.id} must be one of kerasdl's. Name another run.")
    config.paths.cache_dir = os.environ.get("KERASDL_CACHE_DIR") or Paths.cache_dir
    return config


def from_model(found: Found, config: DictConfig, output_dir: str) -> "tuple[keras.Model, tuple[str, ...]]":
    """Returns the model that a run logged last, or that was asked for by its registration, and the class names.

    Raises:
        TrackingError: there is none, says how far the run got and what can be done; or its files can't be used.
    """
    model, metadata = logged_model.load(found, require_model(found, lambda: _advice(found, output_dir)))
    names = metadata.get("class_names")
    return model, tuple(names) if names else data.check(config.data).class_names


def from_checkpoint(
    found: Found, config: DictConfig, output_dir: str, which: str
) -> "tuple[keras.Model, tuple[str, ...]]":
    """Returns the network with the weights of a checkpoint in the run's folder on this machine, and the class names.

    Args:
        found: the run.
        config: its configuration.
        output_dir: `paths.output_dir`, under which the folder is.
        which: `last` or `best`.

    Raises:
        ResumeError: the folder or the checkpoint isn't here, or is of another network.
    """
    from kerasdl.assembly import build_serving

    folder = runs.find(output_dir, found.run.id)
    snapshot = _snapshot(folder, which)
    info = data.check(config.data)
    network, serving = build_serving(config, info)
    names = [f"model/{number:04d}/{variable.name}" for number, variable in enumerate(network.variables)]
    if names != sorted(name for name in snapshot.arrays if name.startswith("model/")):
        raise ResumeError(
            f"checkpoint: {folder.checkpoints} is of another network than run {found.run.id}'s config.yaml."
        )
    for name, variable in zip(names, network.variables, strict=True):
        variable.assign(snapshot.arrays[name])
    console.say(f"weights    of the {which} checkpoint, at step {snapshot.step:,}")
    return serving, info.class_names


def _snapshot(folder: runs.RunFolder, which: str):
    from kerasdl.training.checkpoints import Checkpoints, Damaged

    checkpoints = Checkpoints(folder.checkpoints, keep=1)
    snapshot = checkpoints.newest()
    if snapshot is None or (which == "best" and not snapshot.values["best"]):
        raise ResumeError(f"checkpoint: run {folder.id} has no {which} checkpoint in {folder.checkpoints}.")
    if which == "last":
        return snapshot
    try:
        return checkpoints.at(snapshot.values["best"]["step"])
    except (Damaged, OSError) as error:
        raise ResumeError(f"checkpoint: the best one of run {folder.id} can't be used ({error}). Take last.") from error


def _advice(found: Found, output_dir: str) -> str:
    """Returns what to do about a run without a model."""
    place = {} if output_dir == Paths.output_dir else {"paths.output_dir": output_dir}
    go_on = f" Finish it: {typed.command('train', {'resume': found.run.id, **place})}"
    if found.run.state == "FINISHED":
        go_on = ""
    try:
        steps = sorted(runs.find(output_dir, found.run.id).checkpoints.glob("step-*.npz"))
    except ResumeError:
        steps = []
    if steps:
        step = int(steps[-1].stem.partition("-")[2])
        return f"Its checkpoint at step {step:,} can be taken as it is: add checkpoint=last.{go_on}"
    return f"There is no checkpoint of it in {output_dir}; name another run.{go_on}"
