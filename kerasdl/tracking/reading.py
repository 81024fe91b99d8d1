"""Reads runs back from MLflow, as plain values: a sweep's trials, an experiment's runs, runs by their ids.

Nothing is written, and MLflow's own objects aren't returned.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasdl.config.explain import did_you_mean
from kerasdl.errors import TrackingError, UserError
from kerasdl.tracking.failures import translated
from kerasdl.tracking.store import locate, require

if TYPE_CHECKING:
    from mlflow import MlflowClient

SWEEP, KIND, STATE, PARENT = "kerasdl.sweep", "kerasdl.kind", "kerasdl.state", "mlflow.parentRunId"
METRIC, DIRECTION = "kerasdl.metric", "kerasdl.direction"
_PAGE = 1000  # runs in one answer


@dataclass(frozen=True)
class Run:
    """One run, as MLflow has it.

    Attributes:
        id: MLflow's run id.
        state: `FINISHED`, `FAILED`, `KILLED` or `RUNNING` (also of one that was killed by force), or `PRUNED` for a
            trial that its sweep ended early.
        ended: when it ended, or began if it hasn't, in milliseconds since 1970.
        params: the configuration, flat, as text (`optimizer.learning_rate`).
        metrics: each metric's last value.
        tags: its tags.
    """

    id: str
    state: str
    ended: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Sweep:
    """A sweep and its trials.

    Attributes:
        maximize: for each metric that the sweep optimizes, whether higher is better; empty if its parent run has none.
        runs: its trials.
        older: the number of earlier sweeps of the same name, whose trials aren't in `runs`.
    """

    maximize: Mapping[str, bool]
    runs: Sequence[Run]
    older: int


class Reader:
    """An opened store.

    Args:
        config: has `tracking` and `paths` (`kerasdl.config.schema.Config`), which say where the store is.

    Raises:
        TrackingError: there is no store there yet, or it can't be opened.
    """

    def __init__(self, config: Any):
        self._store = locate(config)
        require(self._store)
        with translated(self._store):
            self._client: MlflowClient = self._store.connect()

    def sweep(self, name: str) -> Sweep:
        """Returns the newest sweep of this name.

        Raises:
            UserError: there is none; lists those that there are.
            TrackingError: the store can't be read.
        """
        with translated(self._store):
            parents = self._search(self._experiment_ids(), f"tags.`{KIND}` = 'sweep'")
            mine = [parent for parent in parents if parent.data.tags.get(SWEEP) == name]
            if not mine:
                known = [parent.data.tags[SWEEP] for parent in parents if SWEEP in parent.data.tags]
                raise UserError(
                    f"sweep: there is no sweep '{name}' in {self._store.describe()}."
                    f"{did_you_mean(name, known) if known else ' There are no sweeps; name an experiment= or runs=.'}"
                )
            parent = max(mine, key=lambda run: run.info.start_time)
            trials = self._search([parent.info.experiment_id], f"tags.`{PARENT}` = '{parent.info.run_id}'")
        tags = parent.data.tags
        metrics, directions = _listed(tags.get(METRIC, "")), _listed(tags.get(DIRECTION, ""))
        if len(directions) != len(metrics):
            raise TrackingError(
                f"sweep: run {parent.info.run_id} must have a {DIRECTION} for each {METRIC}. Received: "
                f"'{tags.get(DIRECTION, '')}' for '{tags.get(METRIC, '')}'. Correct these tags."
            )
        maximize = {metric: goal == "maximize" for metric, goal in zip(metrics, directions, strict=True)}
        return Sweep(maximize, [as_run(trial) for trial in trials], len(mine) - 1)

    def experiment(self, name: str) -> list[Run]:
        """Returns the runs of an MLflow experiment, without the parent runs of sweeps, which train nothing.

        Raises:
            UserError: there is no such experiment; suggests a similar name.
            TrackingError: the store can't be read.
        """
        with translated(self._store):
            experiments = {experiment.name: experiment.experiment_id for experiment in self._experiments()}
            if name not in experiments:
                raise UserError(
                    f"experiment: there is no experiment '{name}' in {self._store.describe()}."
                    f"{did_you_mean(name, experiments)}"
                )
            return [as_run(run) for run in self._search([experiments[name]]) if run.data.tags.get(KIND) != "sweep"]

    def runs(self, ids: Sequence[str]) -> list[Run]:
        """Returns runs by their ids, or unique beginnings of them; one that is named twice is returned once.

        Raises:
            UserError: no run or several runs have such an id, or it is a sweep's.
            TrackingError: the store can't be read.
        """
        with translated(self._store):
            experiments = self._experiment_ids()
            found = [self._find(text, experiments) for text in ids]
        return list({run.id: run for run in found}.values())

    def training_seconds(self, run: Run) -> float | None:
        """Returns how long `run` trained, or None if that is unknown.

        It is the sum over the epochs, without the time during which a run was interrupted. One call to the store,
        about 2 ms in a database.

        Raises:
            TrackingError: the store can't be read.
        """
        if "seconds" not in run.metrics:
            return None
        with translated(self._store):
            return sum(point.value for point in self._client.get_metric_history(run.id, "seconds"))

    def _find(self, text: str, experiments: list[str]) -> Run:
        # Ids are letters and digits; other characters would have a meaning in MLflow's filter.
        matching = (
            self._search(experiments, f"attributes.run_id LIKE '{text}%'") if re.fullmatch("[0-9A-Za-z]+", text) else []
        )
        exact = [run for run in matching if run.info.run_id == text] or matching
        if not exact:
            raise UserError(f"runs: there is no run '{text}' in {self._store.describe()}. Ids are in the MLflow UI.")
        if len(exact) > 1:
            listed = ", ".join(run.info.run_id for run in exact[:5])
            raise UserError(f"runs: '{text}' fits {len(exact)} runs: {listed}. Type more of the id.")
        tags = exact[0].data.tags
        if tags.get(KIND) == "sweep":
            raise UserError(f"runs: '{text}' is a sweep. For its trials, type sweep={tags.get(SWEEP, 'NAME')}.")
        return as_run(exact[0])

    def _experiments(self) -> list[Any]:
        return _pages(lambda token: self._client.search_experiments(max_results=_PAGE, page_token=token))

    def _experiment_ids(self) -> list[str]:
        return [experiment.experiment_id for experiment in self._experiments()]

    def _search(self, experiments: list[str], condition: str = "") -> list[Any]:
        if not experiments:
            return []
        return _pages(
            lambda token: self._client.search_runs(experiments, condition, max_results=_PAGE, page_token=token)
        )


def _pages(ask: Any) -> list[Any]:
    """Returns everything that `ask(page token)` returns, page by page."""
    found, token = [], None
    while True:
        page = ask(token)
        found += page
        token = page.token
        if not token:
            return found


def as_run(run: Any) -> Run:
    """Returns MLflow's run as plain values."""
    state = "PRUNED" if run.data.tags.get(STATE) == "PRUNED" else run.info.status
    ended = run.info.end_time or run.info.start_time
    return Run(run.info.run_id, state, ended, run.data.params, run.data.metrics, run.data.tags)


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
