"""The course of one run, as MLflow has it: every value of each metric, when it ran, and the data it was given.

`kerasdl.tracking.reading` has the last values, which is what many runs are compared by; a single run's page shows how
it came to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerasdl.tracking.failures import told
from kerasdl.tracking.lookup import Found


@dataclass(frozen=True)
class Dataset:
    """Data that a run used: its name, version (or "") and fingerprint."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Chronicle:
    """The course of a run.

    Attributes:
        experiment: the MLflow experiment's name.
        started: milliseconds since 1970.
        ended: milliseconds since 1970; None if it hasn't, or was killed by force.
        datasets: what it was trained on.
        histories: for each metric but the system's: (step, value), by step. Of several values at one step it is the
            last that an epoch reported: a run's end may have added another (`kerasdl.tracking.entries.metrics`).
    """

    experiment: str
    started: int
    ended: int | None
    datasets: Sequence[Dataset]
    histories: Mapping[str, Sequence[tuple[int, float]]]


def chronicle(found: Found) -> Chronicle:
    """Reads the course of a run; a call to the store for each metric, about 2 ms in a database.

    Raises:
        TrackingError: the store can't be read.
    """
    with told(found.store):
        run = found.client.get_run(found.run.id)
        experiment = found.client.get_experiment(run.info.experiment_id)
        inputs = run.inputs.dataset_inputs if run.inputs else []
        epochs = {point.timestamp for point in _points(found, "epoch")} if "epoch" in run.data.metrics else set()
        names = [name for name in run.data.metrics if not name.startswith("system/")]
        histories = {name: _history(_points(found, name), epochs) for name in names}
    return Chronicle(
        experiment.name, run.info.start_time, run.info.end_time, [_dataset(item) for item in inputs], histories
    )


def _points(found: Found, name: str) -> Sequence[Any]:
    return found.client.get_metric_history(found.run.id, name)


def _history(points: Sequence[Any], epochs: set[int]) -> list[tuple[int, float]]:
    """Returns a metric's curve; `epochs` are the times at which epochs reported all that they measured."""
    # A run that went back because of a NaN has a step twice, and so has one that ended with an earlier epoch's weights.
    ordered = sorted(points, key=lambda point: (point.timestamp in epochs, point.timestamp))
    return sorted({point.step: point.value for point in ordered}.items())


def _dataset(item) -> Dataset:
    version = next((tag.value for tag in item.tags if tag.key == "version"), "")
    return Dataset(item.dataset.name, version, item.dataset.digest)
