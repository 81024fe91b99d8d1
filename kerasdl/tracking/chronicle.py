"""The course of one run, as MLflow has it: every value of each metric, when it ran, and the data it was given.

`kerasdl.tracking.reading` has the last values, which is what many runs are compared by; a single run's page shows how
it came to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        histories: for each metric but the system's: (step, value), by step; of several values at one step the last.
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
        histories = {name: _history(found, name) for name in run.data.metrics if not name.startswith("system/")}
    return Chronicle(
        experiment.name, run.info.start_time, run.info.end_time, [_dataset(item) for item in inputs], histories
    )


def _history(found: Found, name: str) -> list[tuple[int, float]]:
    points = found.client.get_metric_history(found.run.id, name)
    # A run that went back because of a NaN has a step twice.
    last = {point.step: point.value for point in sorted(points, key=lambda point: point.timestamp)}
    return sorted(last.items())


def _dataset(item) -> Dataset:
    version = next((tag.value for tag in item.tags if tag.key == "version"), "")
    return Dataset(item.dataset.name, version, item.dataset.digest)
