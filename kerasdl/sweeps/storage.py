"""Where studies are kept: in a database of their own or a journal file on a shared disk, never in MLflow's database."""

import contextlib
import logging
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kerasdl.errors import ConfigError
from kerasdl.files import database_uri, locked, put_in_place
from kerasdl.tracking import secrets
from kerasdl.tracking.store import DATABASE as MLFLOW_DATABASE

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

DATABASE = "optuna.db"
# Which driver SQLAlchemy takes for an address that names none depends on its version.
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}
# Makes others wait that create tables at the same time: by a number or a name that only kerasdl uses.
_LOCKS = {
    "postgresql": "SELECT pg_advisory_lock(5277637)",
    "mysql": "SELECT GET_LOCK('kerasdl', 60)",
    "mariadb": "SELECT GET_LOCK('kerasdl', 60)",
}


def address(storage: str | None, output_dir: str | Path) -> str:
    """Returns the address of the storage: a URL, or the absolute path of a journal file.

    Args:
        storage: `sweep.storage`; None for the default.
        output_dir: `paths.output_dir`.
    """
    if storage is None:
        return database_uri(Path(output_dir).expanduser().resolve() / DATABASE)
    if "://" not in storage:
        return str(Path(storage).expanduser().resolve())
    scheme, _, rest = storage.partition("://")
    return f"{_DRIVERS.get(scheme, scheme)}://{rest}"


def file_of(where: str) -> Path | None:
    """Returns the file of an sqlite database or a journal; None for a database on a server."""
    if "://" not in where:
        return Path(where)
    return Path(unquote(where.partition(":///")[2].partition("?")[0])) if where.startswith("sqlite") else None


def open_storage(where: str) -> "BaseStorage":
    """Opens the storage at an `address`, and creates it if there is none.

    Raises:
        ConfigError: it can't be opened; gives the reason, without the password.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(logging.ERROR)
    scheme = where.partition("://")[0] if "://" in where else ""
    path = file_of(where)
    try:
        if path and not scheme:
            _check_is_no_database(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
        if path:
            _check_is_own(path, where)
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.with_name(f"{path.name}.lock"), lambda: None):
                _make_sqlite(path)
            return _open_sqlite(where)
        with warnings.catch_warnings(), _alone_on_server(where):
            warnings.simplefilter("ignore")
            return optuna.storages.RDBStorage(where, engine_kwargs={"pool_pre_ping": True})
    except ImportError as error:
        extra = "mysql" if scheme.startswith("mysql") else "postgresql"
        raise ConfigError(
            f"sweep.storage: no driver for {scheme}:// is installed. Install one: pip install 'kerasdl[{extra}]'."
        ) from error
    except (SQLAlchemyError, OSError, RuntimeError, sqlite3.Error) as error:
        reason = secrets.hide(str(getattr(error, "orig", None) or error).strip().splitlines()[0])
        raise ConfigError(
            f"sweep.storage: {secrets.hide(where)} can't be opened ({reason}). Start its server, or name another."
        ) from error


@contextlib.contextmanager
def _alone_on_server(where: str) -> Iterator[None]:
    """Makes machines that start together create the tables one after another: otherwise all but one would fail.

    The lock belongs to the connection, so that the server releases it when its holder dies.
    """
    import sqlalchemy

    statement = _LOCKS.get(where.partition("://")[0].partition("+")[0])
    engine = sqlalchemy.create_engine(where, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        if statement:
            connection.exec_driver_sql(statement)
        yield


def _open_sqlite(where: str) -> "BaseStorage":
    """Opens an sqlite database whose transactions run one after another.

    Optuna takes a trial by reading its state and then writing it, under a row lock, which sqlite doesn't have: two
    processes could take the same trial. So each transaction begins with the lock of the whole file.
    """
    import optuna
    import sqlalchemy

    timeout = {"timeout": 60, "isolation_level": None}  # None: the driver begins no transactions itself
    storage = optuna.storages.RDBStorage(where, engine_kwargs={"connect_args": timeout})
    sqlalchemy.event.listen(storage.engine, "begin", lambda opened: opened.exec_driver_sql("BEGIN IMMEDIATE"))
    return storage


def _make_sqlite(path: Path) -> None:
    """Creates Optuna's sqlite file in one step: a process that is killed meanwhile leaves no incomplete database."""
    import optuna

    if path.exists():
        return
    making, whole = (path.with_name(f".{path.name}.making{end}") for end in ("", ".whole"))
    for left in (making, whole):
        left.unlink(missing_ok=True)
    optuna.storages.RDBStorage(database_uri(making)).engine.dispose()
    with contextlib.closing(sqlite3.connect(making)) as source, contextlib.closing(sqlite3.connect(whole)) as copy:
        source.backup(copy)
    put_in_place(whole, path)
    making.unlink()


def _check_is_own(path: Path, where: str) -> None:
    """Raises ConfigError for a database in memory, or one of MLflow, whose tables clash with Optuna's."""
    if not path.name or path.name == ":memory:":
        raise ConfigError(f"sweep.storage must name a file, e.g. sqlite:///{DATABASE}. Received: {where}.")
    tables: set[str] = set()
    if path.is_file():
        # Not read-only: the first to open it takes back what a killed process had half written.
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as opened:
            tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if path.name == MLFLOW_DATABASE or ("experiments" in tables and "studies" not in tables):
        raise ConfigError(f"sweep.storage must not be MLflow's database. Received: {where}. Name another file.")


def _check_is_no_database(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(15) == b"SQLite format 3":
            raise ConfigError(
                f"sweep.storage: {path} is an sqlite database, not a journal. Use sweep.storage=sqlite:///{path}."
            )
