"""A trained network, loaded from its run: used by every command on a run and by `kerasdl.load`.

    network = kerasdl.load("last")
    network(images)  # uint8 (n, 28, 28, 1) in, class probabilities (n, 10) out

Configuration, preprocessing and classes come from the run. `kerasdl.tracking.lookup` finds the run,
`kerasdl.trained.restoring` its weights, and `kerasdl.trained.other_data` checks which other data fits.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from kerasdl import catalog, console, runs
from kerasdl.commands import COMMAND, RUN_KEYS, Values
from kerasdl.config.composition import place
from kerasdl.config.schema import Paths
from kerasdl.models.signature import Signature
from kerasdl.tracking import lookup
from kerasdl.tracking.artifacts import Artifacts, NoArtifacts
from kerasdl.tracking.reading import Run
from kerasdl.trained import restoring
from kerasdl.trained.other_data import check_fits, with_data
from kerasdl.training import runtime

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kerasdl.data import Data, Features, Split
    from kerasdl.trained.predicting import Prediction
    from kerasdl.training.task import Task


@dataclass(frozen=True)
class Trained:
    """A trained network and its run.

    Attributes:
        id: MLflow's run id.
        name: the run's name in MLflow.
        model: from raw features to predictions; for a classifier of images, from uint8 images (n, height, width,
            channels) to class probabilities float32 (n, classes).
        signature: the model's inputs and outputs.
        config: the run's configuration, resolved, with the cache directory of this machine.
        run: params, metrics and tags, as MLflow has them.
        results: where commands keep their results about it.
        runtime: device, XLA, determinism.
    """

    id: str
    name: str
    model: "keras.Model"
    signature: Signature
    config: DictConfig
    run: Run
    results: Artifacts | NoArtifacts
    runtime: runtime.Runtime

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image.

        Raises:
            UserError: the model takes something else.
        """
        height, width, channels = self.signature.image.shape
        return height, width, channels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the probabilities.

        Raises:
            UserError: the model gives something else.
        """
        return self.signature.class_names

    @property
    def params(self) -> Mapping[str, str]:
        return self.run.params

    @property
    def metrics(self) -> Mapping[str, float]:
        return self.run.metrics

    @property
    def tags(self) -> Mapping[str, str]:
        return self.run.tags

    def __call__(self, inputs: Any) -> Any:
        """Returns the model's predictions, e.g. class probabilities float32 (n, classes); several outputs by name.

        Args:
            inputs: an array (n, *shape) for a single input: uint8 (n, height, width, channels) for images; for several
                a dict or a pandas DataFrame with an array for each.

        Raises:
            UserError: an input is missing, or has another dtype or shape.
        """
        from kerasdl.trained.inputs import checked

        return self.model.predict(checked(self.signature, inputs), verbose=0)

    def predict(self, inputs: Any, **options: Any) -> "Iterator[Prediction]":
        """Yields the predictions for pictures or for a table's rows, in order, as they are read.

        Args:
            inputs: for a network of images what `input=` takes (`"scans/*.png"`), a path, a Pillow image, an array, or
                an iterable of these: pictures of any format, size and mode. For a network of numbers a CSV or `.npy`
                file, a DataFrame, or a dict of arrays.
            **options: of `kerasdl.trained.predicting.predict`: `batch_size`, `top`, `invert`, `background`.

        Raises:
            DataError: a name or pattern that matches nothing, or a table without a column that the network takes. For
                a broken picture or row, the prediction has an `error`.
        """
        from kerasdl.trained.predicting import predict

        return predict(self.model, self.signature, inputs, **options)

    def on_pixels(self, layers: Sequence[str] = ()) -> "keras.Model":
        """Returns the network from float pixels to logits; see `kerasdl.models.pixels`."""
        from kerasdl.models.pixels import on_pixels

        return on_pixels(self.model, layers)

    def task(self, features: "Features") -> "Task":
        """Returns the task that the run was trained for, with its trained networks, for evaluation only.

        Args:
            features: of the data to evaluate on.
        """
        from kerasdl.config.instantiate import instantiate
        from kerasdl.trained.context import TrainedContext

        context = TrainedContext(self.config, self.model, self.signature, features)
        return instantiate(self.config.task, "task", context=context)

    def data(self, overrides: Sequence[str] = ()) -> "Data":
        """Returns the data that the run was trained on, or other data.

        Args:
            overrides: as on the command line, e.g. `["data=emnist", "data.image_size=[28,28]"]`.

        Raises:
            ConfigError: an override that doesn't fit.
            DataError: the data isn't available, or has other shapes or classes.
        """
        from kerasdl import data

        config = with_data(self.config, overrides)
        info = data.check(config.data)
        check_fits(info, self.signature)
        return data.load(config.data, config.seed, config.paths.cache_dir, console.say)


@contextmanager
def opened(values: Values, *, as_trained: bool = False) -> Iterator[Trained]:
    """Gives the network that the arguments of a command name (`kerasdl.commands.RUN_KEYS`).

    Args:
        values: of the command.
        as_trained: use the device and number of threads of the training, so that its metrics are reproduced to the bit.

    Raises:
        UserError: there is no such run, it has no model, its model can't be used, or it isn't what the command needs.
    """
    found = lookup.find(
        place({key: values[key] for key in ("paths.output_dir", "tracking.uri") if values[key]}),
        values["run"],
        values["experiment"],
        values["metric"],
        values["direction"],
    )
    # A checkpoint and all that it needs are in the run's folder, even if its artifacts are gone.
    folder = runs.find(values["paths.output_dir"], found.run.id) if values["checkpoint"] else None
    config = restoring.configuration(found, folder)
    trainer = config.trainer.copy()
    trainer.device = (
        "cpu" if trainer.device == "cpu" else "auto"
    )  # a network that was trained on a GPU can be used without one
    if not as_trained:
        trainer.threads = None
    with runtime.precision_and_device(trainer, _threads(found) if as_trained else None) as settings:
        if folder:
            model, signature = restoring.from_checkpoint(found, config, folder, values["checkpoint"])
        else:
            model, signature = restoring.from_model(found, config, values["paths.output_dir"])
        if COMMAND in values:
            catalog.check(values[COMMAND], found.run.id, signature)
        results = found.artifacts if values["log"] else NoArtifacts()
        yield Trained(found.run.id, found.name, model, signature, config, found.run, results, settings)


def load(
    run: str = "last",
    *,
    output_dir: str | Path = Paths.output_dir,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    metric: str | None = None,
    direction: str | None = None,
    checkpoint: str | None = None,
) -> Trained:
    """Returns the trained network of a run.

    Args:
        run: an MLflow run id or its first characters, `last`, `best`, a sweep's name, or `models:/name@alias`.
        output_dir: `paths.output_dir` of the training.
        tracking_uri: `tracking.uri` of the training; default: the environment's MLFLOW_TRACKING_URI, else the database
            in `output_dir`.
        experiment: where `last` and `best` are looked for.
        metric: the metric by which `best` is chosen.
        direction: `maximize` or `minimize`, if the metric's name doesn't say which is better.
        checkpoint: `last` or `best`, to use a checkpoint's weights.

    Raises:
        UserError: there is no such run, it has no model, or its model can't be used.
    """
    values = {key.name: key.default for key in RUN_KEYS} | {
        "run": run,
        "paths.output_dir": str(output_dir),
        "tracking.uri": tracking_uri,
        "experiment": experiment,
        "metric": metric,
        "direction": direction,
        "checkpoint": checkpoint,
        "log": False,
    }
    with opened(values) as network:
        return network


def examples(split: "Split", count: int | None = None) -> "dict[str, np.ndarray]":
    """Returns the first examples of a split, in the order of its first epoch.

    Args:
        split: of `Trained.data`.
        count: the maximum number; None: all.

    Returns:
        For each feature an array (n, *shape).
    """
    import numpy as np

    size = min(count or split.size, split.size)
    handle = split.epoch(0)
    batches = [split.batch(handle, step) for step in range(-(-size // split.batch_size))]
    return {name: np.concatenate([batch[name].numpy() for batch in batches])[:size] for name in split.features.all}


def _threads(found: lookup.Found) -> int | None:
    """Returns how many threads a run trained with, according to its params; None: all cores of this machine."""
    match = re.fullmatch(r"CPU, (\d+) threads", found.run.params.get("device", ""))
    return int(match[1]) if match and int(match[1]) != os.cpu_count() else None
