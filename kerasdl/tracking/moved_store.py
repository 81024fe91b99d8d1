"""A store that was moved or copied: the paths in its database still name the place where artifacts were created.

MLflow stores absolute paths. After a `cp -r` they would lead to reads from the old place and, worse, to writes there.
So before a database is opened, its paths are compared with the artifacts next to it, and corrected.
"""

import contextlib
import shlex
import sqlite3
from pathlib import Path
from urllib.parse import unquote

from kerasdl.errors import TrackingError

ARTIFACTS = "artifacts"
# The columns of MLflow's tables that hold paths of files.
_COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
_BUSY_SECONDS = 15.0


def artifact_location(directory: Path) -> str:
    """Returns the location of artifacts next to a database in `directory`, as MLflow is to store it.

    It is a path, or an address if the path has characters that MLflow would interpret.
    """
    path = directory / ARTIFACTS
    return path.as_uri() if set("%?#") & set(str(path)) else str(path)


def update_paths(database: Path) -> list[Path]:
    """Corrects the paths in a database that was moved together with its artifacts.

    Args:
        database: MLflow's sqlite file, which exists; no other process opens it for the first time meanwhile.

    Returns:
        The directories in which it was before; none if its paths are right.

    Raises:
        TrackingError: the paths are wrong, and the database can't be written.
    """
    here = database.resolve().parent
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            gone = [place for place in _places(connection) if _was_moved(connection, place, here)]
            if gone:
                connection.execute("BEGIN IMMEDIATE")
                for place in gone:
                    _replace(connection, place, artifact_location(here))
                connection.execute("COMMIT")
            return [_path(place).parent for place in gone]
    except sqlite3.OperationalError as error:
        raise TrackingError(
            f"{database} was moved from where its runs were created, and the paths in it can't be corrected ({error}). "
            f"Make it writable, or copy its directory: cp -r {shlex.quote(str(here))} DIR"
        ) from error


def _places(connection: sqlite3.Connection) -> list[str]:
    """Returns the locations of experiments' artifacts, as MLflow has them, that were next to a database."""
    if "artifact_location" not in _columns(connection, "experiments"):
        return []  # MLflow hasn't created its tables yet
    found = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    return [place for (place,) in found if place and _path(place).is_absolute() and _path(place).name == ARTIFACTS]


def _path(place: str) -> Path:
    return Path(unquote(place.removeprefix("file://")))


def _was_moved(connection: sqlite3.Connection, place: str, here: Path) -> bool:
    """Returns whether artifacts that were created at a place are now in the directory `here`.

    After a copy they are in both, and those next to the database belong to it. If artifacts are kept elsewhere on
    purpose, none are next to the database.
    """
    there, now = _path(place), here / ARTIFACTS
    if there == now or not now.is_dir():
        return False
    if not there.exists():
        return True
    if there.samefile(now):  # the same place by another name
        return False
    made = connection.execute(
        "SELECT run_uuid FROM runs WHERE substr(artifact_uri, 1, ?) = ?", (len(place) + 1, f"{place}/")
    )
    return any((now / run).is_dir() for (run,) in made)


def _replace(connection: sqlite3.Connection, before: str, now: str) -> None:
    """Replaces the directory of one location of artifacts by that of another, in all paths below it."""
    before, now = before.removesuffix(ARTIFACTS), now.removesuffix(ARTIFACTS)
    for table, columns in _COLUMNS.items():
        for column in sorted(_columns(connection, table).intersection(columns)):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (now, len(before) + 1, len(before), before),
            )


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """Returns the names of a table's columns; none if there is no such table."""
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
