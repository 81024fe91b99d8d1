"""The history of one run, as MLflow has it: every value of each metric, when it ran, and its data.

`reading` has the last values, by which runs are compared; the page about a single run shows how it got there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerasdl.tracking.failures import translated
from kerasdl.tracking.lookup import Found


@dataclass(frozen=True)
class Dataset:
    """Data that a run used: its name, version (or "") and fingerprint."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class RunHistory:
    """The history of a run.

    Attributes:
        experiment: the MLflow experiment's name.
        started: milliseconds since 1970.
        ended: milliseconds since 1970; None if the run hasn't ended, or was killed by force.
        datasets: what it was trained on.
        histories: for each metric but the system's: (step, value), by step. If a step has several values, it is the
            last one that an epoch reported: the end of a run may have added another (`entries.metrics`).
    """

    experiment: str
    started: int
    ended: int | None
    datasets: Sequence[Dataset]
    histories: Mapping[str, Sequence[tuple[int, float]]]


def read_history(found: Found) -> RunHistory:
    """Reads the history of a run; one call to the store for each metric, about 2 ms in a database.

    Raises:
        TrackingError: the store can't be read.
    """
    with translated(found.store):
        run = found.client.get_run(found.run.id)
        experiment = found.client.get_experiment(run.info.experiment_id)
        inputs = run.inputs.dataset_inputs if run.inputs else []
        epochs = {point.timestamp for point in _points(found, "epoch")} if "epoch" in run.data.metrics else set()
        names = [name for name in run.data.metrics if not name.startswith("system/")]
        histories = {name: _curve(_points(found, name), epochs) for name in names}
    return RunHistory(
        experiment.name, run.info.start_time, run.info.end_time, [_dataset(item) for item in inputs], histories
    )


def _points(found: Found, name: str) -> Sequence[Any]:
    return found.client.get_metric_history(found.run.id, name)


def _curve(points: Sequence[Any], epochs: set[int]) -> list[tuple[int, float]]:
    """Returns a metric's curve; `epochs` are the times at which epochs reported all their metrics."""
    # A run that rolled back because of a NaN has a step twice, and so has one that ended with an earlier epoch's
    # weights.
    ordered = sorted(points, key=lambda point: (point.timestamp in epochs, point.timestamp))
    return sorted({point.step: point.value for point in ordered}.items())


def _dataset(item) -> Dataset:
    version = next((tag.value for tag in item.tags if tag.key == "version"), "")
    return Dataset(item.dataset.name, version, item.dataset.digest)
