"""What went wrong in the background: whether it may pass, and how it is told, once and in one line."""

import contextlib
import errno
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import filelock

from kerasdl.config import typed
from kerasdl.errors import TrackingError
from kerasdl.files import shorten
from kerasdl.tracking import secrets
from kerasdl.tracking.store import Store, import_mlflow

_FULL = (errno.ENOSPC, errno.EDQUOT)
# What sqlite and the drivers of other databases say when the same call may succeed later.
_DATABASE_IS_AWAY = re.compile(r"locked|busy|is full|disk i/o|connect|timeout|timed out|server closed|terminat", re.I)
# What urllib3 says instead of handing on the last of several answers.
_RETRIED = re.compile(r"too many (\d+) error responses")
_DATABASE_REFUSES = re.compile(r"authentication|password|does not exist", re.I)


def is_temporary(error: Exception) -> bool:
    """Returns whether the same call may succeed later.

    It may if a server is away, busy or in trouble of its own (5xx), a database is locked, or a disk is full.
    """
    import requests
    from mlflow.exceptions import MlflowException, RestException
    from sqlalchemy.exc import OperationalError

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code == 429
    if isinstance(error, MlflowException):
        # MLflow wraps what its HTTP client raises without naming it as the cause.
        wrapped = error.__cause__ or error.__context__
        return (
            error.error_code in ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED")
            or (isinstance(error, RestException) and error.get_http_status_code() >= 500)
            or isinstance(wrapped, requests.RequestException)
            or (isinstance(wrapped, Exception) and not isinstance(wrapped, MlflowException) and is_temporary(wrapped))
        )
    if isinstance(error, OperationalError | sqlite3.OperationalError):
        return bool(_DATABASE_IS_AWAY.search(str(error))) and not _DATABASE_REFUSES.search(str(error))
    if isinstance(error, TrackingError):
        return isinstance(error.__cause__, filelock.Timeout)
    if isinstance(error, RuntimeError):  # MLflow uploads with threads, which an ending program can't start any more
        return "shutdown" in str(error)
    return isinstance(error, ConnectionError | TimeoutError | requests.ConnectionError | requests.Timeout) or (
        isinstance(error, OSError) and error.errno in _FULL
    )


def is_away(error: Exception) -> bool:
    """Returns whether the store takes nothing at the moment, so that a file had better wait with all that follows it.

    Not if what failed may concern files only: the server's own trouble with them (500, 507), or a disk that is full.
    """
    status = _http_status(error)
    full = any(isinstance(cause, OSError) and cause.errno in _FULL for cause in _causes(error))
    return is_temporary(error) and status not in (500, 507) and not full


def is_invalid(error: Exception) -> bool:
    """Returns whether MLflow refuses the very value, so that it can never be stored: a name, a param that changed."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.error_code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


def _http_status(error: Exception) -> int | None:
    import requests
    from mlflow.exceptions import RestException

    for cause in _causes(error):
        if isinstance(cause, requests.exceptions.RetryError) and (found := _RETRIED.search(str(cause))):
            return int(found[1])
        if isinstance(cause, requests.HTTPError) and cause.response is not None:
            return cause.response.status_code
        if isinstance(cause, RestException):
            return cause.get_http_status_code()
    return None


def away(store: Store, error: Exception, folder: Path) -> str:
    """Returns the line for a store that doesn't take anything for the time being."""
    what = "does not answer" if store.is_server else "can't be written now"
    return (
        f"{store.describe()} {what} ({reason(error)}); metrics wait in {shorten(folder)} and are sent when it is back."
    )


def opening_error(error: Exception, store: Store) -> TrackingError:
    """Returns the error for a store in which no run could be opened."""
    if isinstance(error, TrackingError):
        return error
    told = TrackingError(
        f"{store.key} must be a store in which MLflow can open a run ({one_line(error)}). "
        f"Received: '{store.address}'. Name another one, or go without with tracking=none."
    )
    told.__cause__ = error
    return told


def waiting_error(
    name: str,
    count: int,
    folder: Path,
    store: Store,
    error: Exception | None,
    refused: Mapping[str, Exception] | None = None,
) -> TrackingError:
    """Returns the error for a run of which something couldn't be sent in time.

    Args:
        name: the run's id or name.
        count: number of journal entries that wait.
        folder: where they are kept.
        store: where they should go.
        error: why they couldn't be sent; None if the store was too slow, or refused only what `refused` names.
        refused: what the store refused while it took the rest, by what it was.
    """
    if error is None and refused:
        error = next(iter(refused.values()))
        why = f"did not take {_listed(refused)} ({reason(error)})"
    else:
        why = f"did not take it ({reason(error)})" if error else "took too long"
    much = "1 entry" if count == 1 else f"{count} entries"
    told = TrackingError(
        f"MLflow run {name} is not complete: {store.describe()} {why}. What is left ({much}) is kept in "
        f"{shorten(folder)}; send it later with: {sync_command(store)}"
    )
    told.__cause__ = error
    return told


def writing_error(failures: Mapping[str, Exception], name: str) -> TrackingError:
    """Returns the error for what couldn't be kept at all, neither in MLflow nor here, by what it was."""
    first = next(iter(failures.values()))
    told = TrackingError(f"MLflow run {name} is not complete: could not write {_listed(failures)} ({one_line(first)}).")
    told.__cause__ = first
    return told


def _listed(failures: Mapping[str, Exception]) -> str:
    names = list(failures)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def sync_command(store: Store) -> str:
    """Returns the command that sends what waits, from the present working directory."""
    place = store.place()
    if store.address == store.uri:  # the run's record has it; it lacks a password only
        place.pop("tracking.uri", None)
    return typed.command("sync", place)


@contextlib.contextmanager
def told(store: Store) -> Iterator[None]:
    """Inside the block, what MLflow and its drivers raise becomes one line for the user, a `TrackingError`."""
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError) as error:
        raise TrackingError(
            f"{store.key} must be a store that MLflow can use ({one_line(error)}). Received: '{store.address}'. "
            "Name another one."
        ) from error


def reason(error: Exception) -> str:
    """Returns what is at the bottom of `error`, e.g. "Connection refused"."""
    root: BaseException = error
    for cause in _causes(error):
        root = cause
    return (isinstance(root, OSError) and root.strerror) or one_line(root)


def one_line(error: BaseException) -> str:
    """Returns the message of `error` without line breaks, at most 300 characters of it."""
    text = secrets.hide(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
