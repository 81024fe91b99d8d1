"""Models under permanent names, in MLflow's model registry: `models:/<name>@best`, `models:/<name>@champion`.

A sweep gives its best model the alias `best`, whichever model had it before. A person's champion is replaced by a worse
model only with `force`. In a sqlite store, comparing and replacing are one step, under a lock between processes. Other
stores have no such lock: if two processes register at the same moment, both get a version, and the last one the alias.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasdl.config.explain import did_you_mean
from kerasdl.config.metrics import PREFERRED, is_maximized
from kerasdl.errors import TrackingError, UserError
from kerasdl.tracking.failures import one_line
from kerasdl.tracking.lookup import Found, require_model
from kerasdl.tracking.store import Store, import_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient

BEST = "best"


@dataclass(frozen=True)
class AliasedVersion:
    """The version of a registered model that has an alias.

    Attributes:
        version: its number.
        run_id: the run that the version comes from; "" if none is known.
        source: where the model's files are.
        metrics: of that run; None if the run is deleted.
        data: the name of the data set that it was trained on; "" if that is unknown.
    """

    version: str
    run_id: str
    source: str
    metrics: Mapping[str, float] | None
    data: str


@dataclass(frozen=True)
class Registration:
    """The result of `register`.

    Attributes:
        address: `models:/<name>@<alias>`.
        version: the number of the version that has the alias now.
        metric: by which the run was compared; None if there was nothing to compare, and it has none of `PREFERRED`.
        value: the run's value of that metric.
        before: the version that had the alias; None if there was none.
        is_new: whether the alias has moved to another version.
    """

    address: str
    version: str
    metric: str | None
    value: float | None
    before: AliasedVersion | None
    is_new: bool


def register_best(store: Store, name: str, run_id: str) -> str | None:
    """Gives the model that a run logged last the alias `best` of the registered model `name`.

    May be repeated: a model isn't registered twice.

    Args:
        store: has the run.
        name: of the registered model, which is created if there is none.
        run_id: MLflow's.

    Returns:
        The model's address, `models:/<name>@best`; None if the run has no model.

    Raises:
        TrackingError: MLflow can't do it; says why.
    """
    client = store.connect()
    with _translated(run_id, name):
        outputs = client.get_run(run_id).outputs
        models = sorted(outputs.model_outputs, key=lambda output: output.step) if outputs else []
        if not models:
            return None
        source = client.get_logged_model(models[-1].model_id).artifact_location
        with store.lock():
            return _assign_alias(client, name, BEST, run_id, source)[0]


def register(
    found: Found,
    name: str,
    alias: str,
    metric: str | None = None,
    force: bool = False,
    direction: str | None = None,
) -> Registration:
    """Gives a run's model an alias of the registered model `name`, unless the one that has it is better.

    May be repeated: a model that has the alias keeps it, and nothing is changed.

    Args:
        found: the run.
        name: of the registered model, which is created if there is none.
        alias: e.g. `champion`.
        metric: by which they are compared; default: the first of `PREFERRED` that both runs have.
        force: gives it the alias however it compares.
        direction: `maximize` or `minimize`: which way `metric` is better; default: as its name says.

    Raises:
        UserError: the run has no such metric, is worse than the one that has the alias, or can't be compared to it.
        TrackingError: the run has no model, or MLflow can't do it.
    """
    model = require_model(found, lambda: "Name another run, or train one that keeps its model.")
    run = found.run
    if metric and metric not in run.metrics:
        raise UserError(
            f"metric must be one that run {run.id} has. Received: '{metric}'.{did_you_mean(metric, run.metrics)}"
        )
    with _translated(run.id, name), found.store.lock():
        before = _aliased_version(found.client, name, alias)
        metric = metric or _common_metric(run.metrics, before)
        value = None if metric is None else run.metrics[metric]
        if before and (before.run_id, before.source) == (run.id, model.location):
            return Registration(f"models:/{name}@{alias}", before.version, metric, value, before, False)
        if before and not force and (refusal := _refusal(run.metrics, metric, before, direction)):
            raise UserError(
                f"models:/{name}@{alias} stays version {before.version}, of run {before.run_id or '(unknown)'}: "
                f"{refusal} To replace it anyway, add force=true."
            )
        address, version = _assign_alias(found.client, name, alias, run.id, model.location)
    return Registration(address, version, metric, value, before, True)


def _refusal(
    metrics: Mapping[str, float], metric: str | None, before: AliasedVersion, direction: str | None
) -> str | None:
    """Returns why a run with these metrics doesn't replace the one before; None if it does."""
    if before.metrics is None:
        return "that run is deleted, so the two can't be compared."
    if metric is None:
        return f"the two runs have none of {', '.join(PREFERRED)} in common. Name another metric with metric=."
    if metric not in before.metrics:
        return f"that run has no {metric}. Name another metric with metric=."
    value, old = metrics[metric], before.metrics[metric]
    if math.isnan(value) or (value < old if is_maximized(metric, direction, "direction") else value > old):
        return f"its {metric} is {old:.6g}, and the new run's {value:.6g} is worse."
    return None


def _common_metric(metrics: Mapping[str, float], before: AliasedVersion | None) -> str | None:
    others = before.metrics if before and before.metrics is not None else metrics
    return next((name for name in PREFERRED if name in metrics and name in others), None)


def _aliased_version(client: "MlflowClient", name: str, alias: str) -> AliasedVersion | None:
    model = _or_none(client.get_registered_model, name)
    number = model.aliases.get(alias) if model else None
    if number is None:
        return None
    version = client.get_model_version(name, number)
    source = version.source or ""
    run = _or_none(client.get_run, version.run_id) if version.run_id else None
    if run is None or run.info.lifecycle_stage == "deleted":
        return AliasedVersion(str(number), version.run_id or "", source, None, "")
    data = run.data.params.get("data.name", "")
    return AliasedVersion(str(number), run.info.run_id, source, dict(run.data.metrics), data)


def _assign_alias(client: "MlflowClient", name: str, alias: str, run_id: str, source: str) -> tuple[str, str]:
    """Gives a model the alias, registering it first if it isn't; returns its address and version."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = client.search_model_versions(f"name = '{name}'")
    known = [version for version in versions if (version.run_id, version.source) == (run_id, source)]
    if known:
        version = known[0]
    else:
        # The location itself: MLflow would look up an address such as models:/<id> in the environment's store.
        version = client.create_model_version(name, source, run_id, model_id=_model_id(client, run_id, source))
    client.set_registered_model_alias(name, alias, version.version)
    return f"models:/{name}@{alias}", str(version.version)


def _model_id(client: "MlflowClient", run_id: str, source: str) -> str | None:
    """Returns the id of the model that a run has logged at this location."""
    outputs = client.get_run(run_id).outputs
    ids = [output.model_id for output in (outputs.model_outputs if outputs else [])]
    return next((id for id in ids if client.get_logged_model(id).artifact_location == source), None)


def _or_none(ask: Any, key: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return ask(key)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


@contextlib.contextmanager
def _translated(run_id: str, name: str) -> Iterator[None]:
    """Inside the block, errors of MLflow and its drivers become a `TrackingError`: one line for the user."""
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        raise TrackingError(f"the model of run {run_id} couldn't be registered as {name}: {one_line(error)}") from error
