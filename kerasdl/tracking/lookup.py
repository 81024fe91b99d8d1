"""What `run=` means: finds a run and its model.

    4f2a9c             an MLflow run id, or a unique beginning of one
    last               the run that started last
    best               the best finished run of an experiment, by a metric
    mnist_cnn_search   a sweep's name: its best trial; or the name that MLflow shows for a run
    models:/name@alias a registered model (or models:/name/3): the run that it comes from

A run is found whatever its state; a command that needs its model calls `require_model`.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from kerasdl.config.explain import did_you_mean
from kerasdl.config.metrics import PREFERRED, is_maximized
from kerasdl.config.schema import Tracking
from kerasdl.errors import TrackingError, UserError
from kerasdl.tracking.artifacts import Artifacts
from kerasdl.tracking.failures import translated
from kerasdl.tracking.reading import KIND, SWEEP, Run, as_run
from kerasdl.tracking.store import Store, locate, require

if TYPE_CHECKING:
    from mlflow import MlflowClient

BEST_RUN = "kerasdl.best_run"
_SHOWN = 5


@dataclass(frozen=True)
class Model:
    """A model that a run has logged.

    Attributes:
        location: where its files are, an address that MLflow can download from.
        step: number of training steps that it has had; None for one that was found in the registry.
    """

    location: str
    step: int | None


@dataclass(frozen=True)
class Found:
    """A run that `run=` named.

    Attributes:
        run: the run.
        name: the one that MLflow shows, e.g. `magnificent-loon-961`.
        model: the last model that it has logged, or the registered one that was named; None if there is none.
        artifacts: its files and numbers.
        store: where it is.
        client: of that store.
    """

    run: Run
    name: str
    model: Model | None
    artifacts: Artifacts
    store: Store
    client: "MlflowClient"


def find(
    config: Any, run: str, experiment: str | None = None, metric: str | None = None, direction: str | None = None
) -> Found:
    """Returns the run that `run` names.

    Args:
        config: has `tracking` and `paths`, which say where runs are (`kerasdl.config.composition.place`).
        run: as in the list at the top of this file.
        experiment: by name: where to look for `last` (default: every experiment) and `best` (default: `kerasdl`).
        metric: by which `best` is chosen; default: the first of `kerasdl.config.metrics.PREFERRED` that a finished run
            has.
        direction: `maximize` or `minimize`: which way that metric is better; default: as its name says.

    Raises:
        UserError: there is no such run, or there are several; lists some that there are.
        TrackingError: there is no store, or it can't be read.
    """
    store = locate(config)
    require(store)
    with translated(store):
        lookup = _Lookup(store, store.connect())
        model: Model | None
        if run.startswith("models:/"):
            found, model = lookup.registered(run)
        else:
            found = lookup.run(run, experiment, metric, direction)
            model = lookup.model(found)
        info = found.info
        return Found(
            as_run(found),
            info.run_name or "",
            model,
            Artifacts(store, lookup.client, info.run_id),
            store,
            lookup.client,
        )


class _Lookup:
    """Looks for runs in an opened store."""

    def __init__(self, store: Store, client: "MlflowClient"):
        self.client = client
        self._store = store

    def run(self, text: str, experiment: str | None, metric: str | None, direction: str | None) -> Any:
        if text == "last":
            return self._last(self._experiments(experiment))
        if text == "best":
            return self._best(experiment or Tracking.experiment, metric, direction)
        experiments = self._experiments(None)
        if trial := self._best_of_sweep(text, experiments):
            return self.client.get_run(trial)
        # Ids are letters and digits; other characters would have a meaning in MLflow's filter.
        matching = []
        if re.fullmatch("[0-9a-z]+", text):
            matching = self._some(experiments, f"attributes.run_id LIKE '{text}%'")
            matching = [run for run in matching if run.info.run_id == text] or matching
        if not matching and not {"'", "\\"} & set(text):
            matching = self._some(experiments, f"attributes.run_name = '{text}'")
        if not matching:
            raise UserError(f"run: there is no run '{text}' in {self._store.describe()}. {self._candidates()}")
        if len(matching) > 1:
            listed = ", ".join(_described(run) for run in matching)
            raise UserError(f"run: '{text}' fits several runs: {listed}. Type more of the id.")
        found = matching[0]
        if found.data.tags.get(KIND) == "sweep":
            return self._best_trial(found)
        return found

    def model(self, run: Any) -> Model | None:
        """Returns the last model that a run has logged."""
        outputs = run.outputs.model_outputs if run.outputs else []
        if not outputs:
            return None
        last = max(outputs, key=lambda output: output.step)
        return Model(self.client.get_logged_model(last.model_id).artifact_location, last.step)

    def registered(self, address: str) -> tuple[Any, Model]:
        match = re.fullmatch(r"models:/([^@/]+)(?:@([^@/]+)|/(\d+))", address)
        if match is None:
            raise UserError(f"run must be models:/NAME@ALIAS or models:/NAME/VERSION. Received: '{address}'.")
        from mlflow.exceptions import MlflowException

        name, alias, number = match.groups()
        try:
            version = (
                self.client.get_model_version_by_alias(name, alias)
                if alias
                else self.client.get_model_version(name, number)
            )
        except MlflowException as error:
            known = [model.name for model in self.client.search_registered_models()]
            aliases = [*next((m.aliases for m in self.client.search_registered_models() if m.name == name), {})]
            hint = f" Its aliases: {', '.join(aliases) or 'none'}." if name in known else did_you_mean(name, known)
            raise UserError(f"run: there is no {address} in {self._store.describe()}.{hint}") from error
        try:
            run = self.client.get_run(version.run_id or "")
        except MlflowException as error:
            raise UserError(
                f"run: {address} comes from run '{version.run_id}', which isn't in {self._store.describe()} any more. "
                "Restore that run, or register another one."
            ) from error
        source = version.source or ""
        if source.startswith("models:/"):  # MLflow itself has stored the model's id
            source = self.client.get_logged_model(source.removeprefix("models:/")).artifact_location
        return run, Model(source, None)

    def _last(self, experiments: list[str]) -> Any:
        for run in self._newest_first(experiments):
            return run
        raise UserError(
            f"run=last: there is no run in {self._store.describe()} yet. Train one: python -m kerasdl.train"
        )

    def _best(self, experiment: str, metric: str | None, direction: str | None) -> Any:
        finished = [run for run in self._newest_first(self._experiments(experiment)) if run.info.status == "FINISHED"]
        known = {name for run in finished for name, value in run.data.metrics.items() if not math.isnan(value)}
        wanted = metric or next((name for name in PREFERRED if name in known), None)
        if wanted is None or wanted not in known:
            hint = did_you_mean(wanted, known) if wanted else ""
            raise UserError(
                f"run=best: no finished run of experiment '{experiment}' has the metric "
                f"'{wanted or PREFERRED[0]}'.{hint} Name another one with metric=, or an experiment=."
            )
        having = [run for run in finished if not math.isnan(run.data.metrics.get(wanted, math.nan))]
        sign = 1 if is_maximized(wanted, direction, "direction") else -1
        return max(having, key=lambda run: sign * run.data.metrics[wanted])

    def _best_of_sweep(self, name: str, experiments: list[str]) -> str | None:
        if {"'", "\\"} & set(name):
            return None
        newest = self._some(experiments, f"tags.`{KIND}` = 'sweep' AND tags.`{SWEEP}` = '{name}'", count=1)
        return self._best_trial(newest[0]).info.run_id if newest else None

    def _best_trial(self, parent: Any) -> Any:
        name = parent.data.tags.get(SWEEP, parent.info.run_id)
        best = [run for run in parent.data.tags.get(BEST_RUN, "").split(",") if run.strip("-")]
        if not best:
            raise UserError(f"run: sweep '{name}' has no best run yet. Wait for its first finished trial.")
        if len(best) > 1:
            raise UserError(
                f"run: sweep '{name}' optimizes several metrics and has no single best run. Name one of "
                f"{', '.join(best[:_SHOWN])}."
            )
        return self.client.get_run(best[0])

    def _newest_first(self, experiments: list[str]) -> Iterator[Any]:
        """Yields runs, except the parent runs of sweeps, which train nothing."""
        token = None
        while experiments:
            page = self.client.search_runs(
                experiments, max_results=200, order_by=["attributes.start_time DESC"], page_token=token
            )
            yield from (run for run in page if run.data.tags.get(KIND) != "sweep")
            token = page.token
            if not token:
                return

    def _some(self, experiments: list[str], condition: str, count: int = _SHOWN) -> list[Any]:
        if not experiments:
            return []
        order = ["attributes.start_time DESC"]
        return list(self.client.search_runs(experiments, condition, max_results=count, order_by=order))

    def _experiments(self, name: str | None) -> list[str]:
        known = {item.name: item.experiment_id for item in self.client.search_experiments(max_results=1000)}
        if name is None:
            return list(known.values())
        if name not in known:
            raise UserError(
                f"experiment: there is no experiment '{name}' in {self._store.describe()}.{did_you_mean(name, known)}"
            )
        return [known[name]]

    def _candidates(self) -> str:
        runs = [_described(run) for run in islice(self._newest_first(self._experiments(None)), _SHOWN)]
        return f"The newest: {', '.join(runs)}." if runs else "There are none yet."


def _described(run: Any) -> str:
    return f"{run.info.run_id} ({run.info.run_name}, {run.info.status})"


def require_model(found: Found, advice: Callable[[], str]) -> Model:
    """Returns the model of a run.

    Args:
        found: the run.
        advice: says what to do if it has none.

    Raises:
        TrackingError: it has none; says why.
    """
    if found.model:
        return found.model
    run = found.run
    if run.state == "FINISHED":
        why = "has no model: it was trained with tracking.log_model=false, or its model couldn't be sent"
    else:
        total = run.params.get("trainer.epochs", "?")
        done = f"{int(run.metrics['epoch'])}" if "epoch" in run.metrics else None
        why = f"never finished: it is {run.state}" + (f", after {done} of {total} epochs" if done else "")
    raise TrackingError(f"run {run.id} {why}. {advice()}")
