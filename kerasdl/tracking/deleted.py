"""Checks quickly, without MLflow, whether an experiment or a run is deleted.

MLflow keeps what is deleted, but refuses to add to it. Importing MLflow takes two seconds and opening a store takes
more, so that training would have begun by then. Here a sqlite file is read directly, and a server is asked by HTTP:
each takes milliseconds. What can't be checked this way (another kind of database, a server that asks for a password) is
checked when MLflow opens the run.
"""

import contextlib
import json
import sqlite3
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.errors import TrackingError

if TYPE_CHECKING:
    from kerasdl.tracking.store import Store

ACTIVE = "active"
TIMEOUT_SECONDS = 3.0


def check(store: "Store", experiment: str, run_id: str | None = None) -> None:
    """Checks that a run can be created, or resumed.

    Args:
        store: where the run is, or will be; `Store.check` has passed.
        experiment: by name.
        run_id: the run that is resumed; None for a new one.

    Raises:
        TrackingError: the experiment, or the run that is resumed, is deleted.
    """
    if run_id is not None and not _is_deleted_run(store, run_id):
        return
    if found := _deleted_experiment(store, experiment):
        raise experiment_error(store, experiment, found)
    if run_id is not None:
        raise run_error(store, run_id)


def experiment_error(store: "Store", name: str, experiment_id: str) -> TrackingError:
    """Returns the error for an experiment that is deleted."""
    restore = store.mlflow_command("experiments", "restore", "--experiment-id", experiment_id)
    return TrackingError(
        f"tracking.experiment must name an experiment that isn't deleted. Received: '{name}'. Choose another name, "
        f"or restore it: {restore}"
    )


def run_error(store: "Store", run_id: str) -> TrackingError:
    """Returns the error for a run that is deleted."""
    restore = store.mlflow_command("runs", "restore", "--run-id", run_id)
    return TrackingError(f"MLflow run {run_id} is deleted. Start another run, or restore it: {restore}")


def _deleted_experiment(store: "Store", name: str) -> str | None:
    """Returns the id of an experiment if it is deleted."""
    if store.database:
        rows = _rows(store.database, "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?", name)
    else:
        found = _answer(store, "experiments/get-by-name", experiment_name=name).get("experiment", {})
        rows = [(found.get("experiment_id"), found.get("lifecycle_stage", ACTIVE))]
    return next((str(number) for number, stage in rows if stage != ACTIVE), None)


def _is_deleted_run(store: "Store", run_id: str) -> bool:
    if store.database:
        rows = _rows(store.database, "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", run_id)
    else:
        info = _answer(store, "runs/get", run_id=run_id).get("run", {}).get("info", {})
        rows = [(info.get("lifecycle_stage", ACTIVE),)]
    return any(stage != ACTIVE for (stage,) in rows)


def _rows(database: Path, query: str, value: str) -> list[tuple]:
    """Returns what a query of an MLflow database finds; nothing if it is locked, new, or isn't MLflow's."""
    if not database.is_file():
        return []
    with contextlib.suppress(sqlite3.Error):
        address = f"{database.as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=TIMEOUT_SECONDS)) as connection:
            return connection.execute(query, (value,)).fetchall()
    return []


def _answer(store: "Store", call: str, **values: str) -> dict[str, Any]:
    """Returns what a tracking server answers to a call of MLflow's REST API; nothing if it refuses."""
    if not store.is_server:
        return {}
    url = f"{store.uri}/api/2.0/mlflow/{call}?{urllib.parse.urlencode(values)}"
    with contextlib.suppress(OSError, ValueError):  # this includes HTTP errors, such as 404 for what isn't there
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            answer = json.load(response)
        return answer if isinstance(answer, dict) else {}
    return {}
