"""From a run in MLflow to its model: its configuration, and the model that it logged or one of its checkpoints."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, ListConfig, OmegaConf

from kerasdl import console, data, runs
from kerasdl.config import typed
from kerasdl.config.renames import rename_targets
from kerasdl.config.schema import Paths
from kerasdl.errors import ResumeError, TrackingError
from kerasdl.models.signature import Signature
from kerasdl.tracking import logged_model
from kerasdl.tracking.lookup import Found, require_model

if TYPE_CHECKING:
    import keras

    from kerasdl.training.checkpoint_file import Snapshot

_NEEDED = ("model", "data", "task", "optimizer", "trainer", "seed", "paths")


def configuration(found: Found, folder: runs.RunFolder | None = None) -> DictConfig:
    """Returns the configuration of a run, with the cache directory of this machine.

    Args:
        found: the run.
        folder: of the run on this machine, to read its record; None reads `config.yaml` from the artifacts.

    Raises:
        TrackingError: `config.yaml` is missing or damaged.
    """
    config = OmegaConf.create(folder.record.config) if folder else _kept_configuration(found)
    if not isinstance(config, DictConfig) or any(key not in config for key in _NEEDED):
        raise TrackingError(f"config.yaml of run {found.run.id} must be one of kerasdl's. Name another run.")
    rename_targets(config)
    config.paths.cache_dir = os.environ.get("KERASDL_CACHE_DIR") or Paths.cache_dir
    return config


def _kept_configuration(found: Found) -> DictConfig | ListConfig:
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as temporary:
        path = found.artifacts.fetch("config.yaml", Path(temporary))
        try:
            return OmegaConf.load(path)
        except Exception as error:  # a damaged file can cause any error
            raise TrackingError(f"config.yaml of run {found.run.id} can't be read ({error}).") from error


def from_model(found: Found, config: DictConfig, output_dir: str) -> "tuple[keras.Model, Signature]":
    """Returns the model that a run logged last, or the registered one that was asked for, and its signature.

    Raises:
        TrackingError: there is none (the message says how far the run got and what to do), or its files can't be used.
    """
    model, metadata = logged_model.load(found, require_model(found, lambda: _advice(found, output_dir)))
    if signature := Signature.from_metadata(metadata, model.input_shape[1:] if len(model.inputs) == 1 else ()):
        return model, signature
    # From a version that didn't keep the names of the classes with the model.
    names = data.check(config.data).features.targets["label"].names
    return model, Signature.of_classifier(model.input_shape[1:], names)


def from_checkpoint(
    found: Found, config: DictConfig, folder: runs.RunFolder, which: str
) -> "tuple[keras.Model, Signature]":
    """Returns the model with the weights of a checkpoint in the run's folder on this machine, and its signature.

    These are the weights that were measured: the averaged ones, if the optimizer keeps averages.

    Args:
        found: the run.
        config: its configuration.
        folder: of the run.
        which: `last` or `best`.

    Raises:
        ResumeError: the checkpoint isn't here, or is of another network, other source or another version of kerasdl.
    """
    from kerasdl.config.instantiate import instantiate
    from kerasdl.data.preprocessing import from_json
    from kerasdl.tasks.context import TaskContext
    from kerasdl.training.averaging import keeps_averages, take_averages
    from kerasdl.training.state import network_variables, optimizer_variables, with_roles

    runs.check_sources(folder, config)
    snapshot = _snapshot(folder, which)
    features = data.check(config.data).features
    context = TaskContext(config, features, from_json(folder.record.fitted), optimizes=True)
    task = instantiate(config.task, "task", context=context)
    snapshot = with_roles(snapshot, task)
    variables = {"networks/": network_variables(task)}
    if any(map(keeps_averages, task.optimizers.values())):
        variables["optimizers/"] = optimizer_variables(task)
    for kind, here in variables.items():
        there = {name: array.shape for name, array in snapshot.arrays.items() if name.startswith(kind)}
        if there != {name: tuple(variable.shape) for name, variable in here.items()}:
            raise ResumeError(
                f"checkpoint: {folder.checkpoints} is of another network or optimizer than run {found.run.id}'s "
                "config.yaml. Use the code that the run was trained with, or use the run's model, without checkpoint=."
            )
        for name, variable in here.items():
            variable.assign(snapshot.arrays[name])
    take_averages(task)
    console.say(f"weights    of the {which} checkpoint, at step {snapshot.step:,}")
    return task.serving()


def _snapshot(folder: runs.RunFolder, which: str) -> "Snapshot":
    """Reads a checkpoint without changing the folder, since the run may still be training."""
    from kerasdl.training.checkpoint_file import Damaged, best_step, read
    from kerasdl.training.checkpoints import newest, path_of

    snapshot, _ = newest(folder.checkpoints)
    if snapshot and which == "last":
        return snapshot
    step = best_step(snapshot.values) if snapshot else None
    if step is None:
        raise ResumeError(f"checkpoint: run {folder.id} has no {which} checkpoint in {folder.checkpoints}.")
    try:
        return read(path_of(folder.checkpoints, step))
    except (Damaged, OSError) as error:
        raise ResumeError(
            f"checkpoint: the best one of run {folder.id} can't be used ({error}). Use checkpoint=last."
        ) from error


def _advice(found: Found, output_dir: str) -> str:
    """Returns what to do about a run without a model."""
    place = {} if output_dir == Paths.output_dir else {"paths.output_dir": output_dir}
    resume = f" Finish it: {typed.command('train', {'resume': found.run.id, **place})}"
    if found.run.state == "FINISHED":
        resume = ""
    try:
        steps = sorted(runs.find(output_dir, found.run.id).checkpoints.glob("step-*.npz"))
    except ResumeError:
        steps = []
    if steps:
        step = int(steps[-1].stem.partition("-")[2])
        return f"Its checkpoint at step {step:,} can be used: add checkpoint=last.{resume}"
    return f"There is no checkpoint of it in {output_dir}; name another run.{resume}"
