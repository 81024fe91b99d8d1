"""A store that was moved or copied: its database still says that artifacts are where they were made.

MLflow keeps absolute paths. Followed after a `cp -r`, they would lead to reads from the old place and, worse, writes to
it. So before a database is opened, the paths in it are compared with where the artifacts are, beside it, and corrected.
"""

import contextlib
import shlex
import sqlite3
from pathlib import Path
from urllib.parse import unquote

from kerasdl.errors import TrackingError

ARTIFACTS = "artifacts"
# Where MLflow's tables have paths of files.
_COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
_BUSY_SECONDS = 15.0


def artifact_location(directory: Path) -> str:
    """Returns what MLflow is given as the place of artifacts beside a database in `directory`.

    A path as it is, or an address where MLflow would read signs in it as something else.
    """
    path = directory / ARTIFACTS
    return path.as_uri() if set("%?#") & set(str(path)) else str(path)


def follow(database: Path) -> list[Path]:
    """Lets a database say where its artifacts are now, if it was moved together with them.

    Args:
        database: MLflow's sqlite file, which exists; nobody else opens it for the first time meanwhile.

    Returns:
        The directories in which it was before; none if it says the truth.

    Raises:
        TrackingError: it should be changed and can't be.
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
            f"{database} was moved from where its runs were made, and can't be changed to say where their files are "
            f"now ({error}). Make it writable, or copy its directory: cp -r {shlex.quote(str(here))} DIR"
        ) from error


def _places(connection: sqlite3.Connection) -> list[str]:
    """Returns where experiments have artifacts, as MLflow has it, of those that are beside a database."""
    if "artifact_location" not in _columns(connection, "experiments"):
        return []  # not MLflow's yet
    found = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    return [place for (place,) in found if place and _path(place).is_absolute() and _path(place).name == ARTIFACTS]


def _path(place: str) -> Path:
    return Path(unquote(place.removeprefix("file://")))


def _was_moved(connection: sqlite3.Connection, place: str, here: Path) -> bool:
    """Returns whether artifacts that were made at a place are now in the directory `here`.

    In a copy both have them, and those beside the database are its own. Whoever keeps artifacts elsewhere on purpose
    has none beside the database.
    """
    there, now = _path(place), here / ARTIFACTS
    if there == now or not now.is_dir():
        return False
    if not there.exists():
        return True
    if there.samefile(now):  # by another name
        return False
    made = connection.execute(
        "SELECT run_uuid FROM runs WHERE substr(artifact_uri, 1, ?) = ?", (len(place) + 1, f"{place}/")
    )
    return any((now / run).is_dir() for (run,) in made)


def _replace(connection: sqlite3.Connection, before: str, now: str) -> None:
    """Lets all paths below the directory of one place of artifacts be below that of another."""
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
