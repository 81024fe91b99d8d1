"""The MLflow store of runs: where it is, whether it can be used, and how it is opened.

Its address is decided once (`locate`), checked quickly before anything long begins (`Store.check`, without MLflow) and
opened under a lock (`Store.connect`): if several processes opened a new sqlite file at once, their migrations would
collide.
"""

import contextlib
import logging
import os
import shlex
import sqlite3
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import filelock

from kerasdl.config import typed
from kerasdl.config.schema import Paths
from kerasdl.console import warn
from kerasdl.errors import TrackingError
from kerasdl.files import database_uri, put_in_place, shorten
from kerasdl.tracking import checks, deleted, moved_store, secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
LOCK_TIMEOUT_SECONDS = 120.0
# How long a writer waits for another process's transaction before it fails and tries again; SQLite's default of 5 s is
# too short for a busy sweep.
SQLITE_BUSY_SECONDS = 15


@dataclass(frozen=True)
class Store:
    """An MLflow store: its address, the directory for local files, and the key by which a user chooses it."""

    uri: str
    output_dir: Path
    key: str

    @property
    def is_server(self) -> bool:
        return self.uri.startswith(("http://", "https://"))

    @property
    def address(self) -> str:
        """The address without a password, as it may be printed."""
        return secrets.hide(self.uri)

    @property
    def database(self) -> Path | None:
        """The sqlite file, or None if the store is of another kind."""
        if not self.uri.startswith("sqlite:///"):
            return None
        return Path(unquote(self.uri.removeprefix("sqlite:///").partition("?")[0])).absolute()

    @property
    def artifact_location(self) -> str | None:
        """Where artifacts of a new experiment go; None leaves that to the server.

        Absolute, because MLflow would otherwise store a path relative to the present working directory.
        """
        is_database = self.uri.partition(":")[0].partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")
        return moved_store.artifact_location(self.output_dir) if is_database else None

    def describe(self) -> str:
        """Returns where results go, in a phrase for the user."""
        return f"{shorten(self.database)} (sqlite)" if self.database else self.address

    def check(self) -> None:
        """Checks, in well under a second if nothing is wrong, that runs can be written.

        Raises:
            TrackingError: a directory can't be written or is full, the database isn't one, or MLflow keeps no runs at
                such an address; names the key to change.
            Away: a tracking server doesn't answer within `checks.SERVER_TIMEOUT_SECONDS`.
        """
        checks.check_address(self.uri, self.key)
        checks.check_directory(self.output_dir, "paths.output_dir")
        if self.database:
            if self.database.parent != self.output_dir:
                checks.check_directory(self.database.parent, self.key)
            checks.check_database(self.database, self.key)
        if self.is_server:
            checks.check_server(self.uri, self.key)

    def connect(self) -> "MlflowClient":
        """Opens the store, creating it if there is none; takes seconds, so don't call it on the training thread.

        Raises:
            TrackingError: another process holds the lock for too long.
            MlflowException: MLflow can't use the address.
        """
        mlflow = import_mlflow()
        uri = self.uri
        if self.database:
            self.database.parent.mkdir(parents=True, exist_ok=True)
            uri += "" if "?" in uri else f"?timeout={SQLITE_BUSY_SECONDS}"
        try:
            with self.lock():
                self.prepare()
                return mlflow.MlflowClient(tracking_uri=uri)
        except filelock.Timeout as error:
            raise TrackingError(
                f"{self.key}: another process has held {error.lock_file} for {LOCK_TIMEOUT_SECONDS:g} s. "
                "End that process, or name another directory."
            ) from error

    def prepare(self) -> None:
        """Creates a local database, or corrects the paths in one that was moved; the lock is held.

        Raises:
            TrackingError: the database was moved, and can't be written.
        """
        if self.database is None:
            return
        if not self.database.exists():
            _create_database(self.database)
        for before in moved_store.update_paths(self.database):
            here = shorten(self.database.parent)
            warn(f"{here} was moved or copied from {before}; from now on, its runs' files are read and written here.")

    def lock(self) -> AbstractContextManager:
        """Returns the lock under which a sqlite store is opened: migrations of two processes would collide."""
        if self.database is None:
            return nullcontext()
        return filelock.FileLock(f"{self.database}.lock", timeout=LOCK_TIMEOUT_SECONDS)

    def place(self) -> dict[str, str]:
        """Returns the keys by which a command, typed in the present working directory, finds this store."""
        is_default = self.output_dir == Path(Paths.output_dir).resolve()
        place = {} if is_default else {"paths.output_dir": shorten(self.output_dir)}
        return place | {"tracking.uri": self.address} if self.key == "tracking.uri" else place

    def ui_command(self) -> str:
        """Returns the command that opens the MLflow UI on this store, from the present working directory."""
        return typed.command("ui", self.place())

    def mlflow_command(self, *words: str) -> str:
        """Returns one of MLflow's own commands on this store: `mlflow` and `words`."""
        command = shlex.join(["mlflow", *words])
        if self.key == "MLFLOW_TRACKING_URI":  # it is in the environment
            return command
        return f"MLFLOW_TRACKING_URI={shlex.quote(self.address)} {command}"


def locate(config) -> Store:
    """Returns the store that `tracking.uri`, else the environment's MLFLOW_TRACKING_URI, else the default names."""
    output_dir = Path(config.paths.output_dir).expanduser().resolve()
    if config.tracking.uri:
        return Store(config.tracking.uri.rstrip("/"), output_dir, "tracking.uri")
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return Store(uri.rstrip("/"), output_dir, "MLFLOW_TRACKING_URI")
    return Store(database_uri(output_dir / DATABASE), output_dir, "paths.output_dir")


def open_store(config) -> "MlflowClient":
    """Opens the store of `config` for reading runs.

    Args:
        config: has `tracking` and `paths` (`kerasdl.config.schema.Config`).

    Raises:
        TrackingError: there is no store there yet, or it can't be opened.
    """
    store = locate(config)
    require(store)
    return store.connect()


def require(store: Store) -> None:
    """Raises TrackingError if `store` is a local database that doesn't exist yet, or a server that doesn't answer."""
    checks.check_address(store.uri, store.key)
    if store.database and not store.database.is_file():
        raise TrackingError(
            f"{store.key} must be where runs were written: there is no {shorten(store.database)} yet. "
            "Train first (python -m kerasdl.train), or name another directory with paths.output_dir=DIR."
        )
    if store.database:
        checks.check_database(store.database, store.key)
    if store.is_server:
        checks.check_server(store.uri, store.key)


def import_mlflow():
    """Imports MLflow (about 2 s) and returns it, quiet: no migration log, no printed addresses, no bars, no telemetry.

    What the user has set in the environment takes precedence.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # MLflow would retry for four minutes in one call, and create a run twice if the first answer was lost. The worker
    # has a retry of its own, which searches before it creates, and which the end of a run can cut short.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    import mlflow

    for name in ("alembic", "mlflow.system_metrics"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It also logs tracebacks of what it raises; the tracker reports such errors itself, once.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return mlflow


def _create_database(database: Path) -> None:
    """Creates MLflow's sqlite file as a whole: a process that is killed during the migrations leaves no file.

    A file that is half-migrated could never be opened again.
    """
    import mlflow

    for left in database.parent.glob(f".{database.name}.making*"):
        left.unlink(missing_ok=True)
    making, whole = (database.with_name(f".{database.name}.making{end}") for end in ("", ".whole"))
    mlflow.MlflowClient(tracking_uri=database_uri(making))
    # A copy, since MLflow keeps the file open; sqlite syncs it.
    with contextlib.closing(sqlite3.connect(making)) as source, contextlib.closing(sqlite3.connect(whole)) as copy:
        source.backup(copy)
    put_in_place(whole, database)
    making.unlink()


def experiment_id(client: "MlflowClient", name: str, store: Store) -> str:
    """Returns the id of the experiment `name`, which is created if it doesn't exist.

    Raises:
        TrackingError: it was deleted, or MLflow refuses its name.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.create_experiment(name, artifact_location=store.artifact_location)
        except MlflowException as error:
            # Another run may have created it between the two calls.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise TrackingError(
                    f"tracking.experiment must be a name that MLflow takes ({error.message}). Received: '{name}'. "
                    "Choose another name."
                ) from error
    if experiment.lifecycle_stage != "active":
        raise deleted.experiment_error(store, name, experiment.experiment_id)
    return experiment.experiment_id
