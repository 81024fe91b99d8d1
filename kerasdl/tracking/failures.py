"""Failures of MLflow and its stores: whether another try may help, and the one line that the user reads."""

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
# In messages of sqlite and of other databases' drivers: the same call may succeed later.
_DATABASE_UNAVAILABLE = re.compile(
    r"locked|busy|is full|disk i/o|connect|timeout|timed out|server closed|terminat", re.I
)
# urllib3's message after several tries, which doesn't contain the last answer itself.
_RETRIED = re.compile(r"too many (\d+) error responses")
_DATABASE_REFUSES = re.compile(r"authentication|password|does not exist", re.I)


def is_temporary(error: Exception) -> bool:
    """Returns whether the same call may succeed later.

    It may if a server is unavailable, busy or has an error of its own (5xx), a database is locked, or a disk is full.
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
        return bool(_DATABASE_UNAVAILABLE.search(str(error))) and not _DATABASE_REFUSES.search(str(error))
    if isinstance(error, TrackingError):
        return isinstance(error.__cause__, filelock.Timeout)
    if isinstance(error, RuntimeError):  # MLflow uploads with threads, which an ending program can't start any more
        return "shutdown" in str(error)
    return isinstance(error, ConnectionError | TimeoutError | requests.ConnectionError | requests.Timeout) or (
        isinstance(error, OSError) and error.errno in _FULL
    )


def is_unavailable(error: Exception) -> bool:
    """Returns whether the store takes nothing at the moment, so that a file and everything after it have to wait.

    It isn't if the failure may concern files only: the server can't store them (500, 507), or a disk is full.
    """
    status = _http_status(error)
    full = any(isinstance(cause, OSError) and cause.errno in _FULL for cause in _causes(error))
    return is_temporary(error) and status not in (500, 507) and not full


def is_invalid(error: Exception) -> bool:
    """Returns whether MLflow can never store the value: an invalid name, a param that changed."""
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


def unavailable(store: Store, error: Exception, folder: Path) -> str:
    """Returns the line about a store that takes nothing at the moment."""
    what = "does not answer" if store.is_server else "can't be written at the moment"
    return (
        f"{store.describe()} {what} ({reason(error)}). Training continues; its results are kept in {shorten(folder)} "
        "and sent when the store is available again."
    )


def opening_error(error: Exception, store: Store) -> TrackingError:
    """Returns the error for a store in which the run couldn't be opened."""
    if isinstance(error, TrackingError):
        return error
    opening = TrackingError(
        f"{store.key} must be a store in which MLflow can open a run ({one_line(error)}). "
        f"Received: '{store.address}'. Name another store, or train without one: tracking=none."
    )
    opening.__cause__ = error
    return opening


def waiting_error(
    name: str,
    count: int,
    folder: Path,
    store: Store,
    error: Exception | None,
    refusals: Mapping[str, Exception] | None = None,
) -> TrackingError:
    """Returns the error for a run with entries that couldn't be sent in time.

    Args:
        name: the run's id or name.
        count: number of journal entries that haven't been sent.
        folder: where they are kept.
        store: where they are to be sent.
        error: why they couldn't be sent; None if the store was too slow, or refused only what `refusals` names.
        refusals: the errors of what the store refused while it took the rest, by what it was.
    """
    if error is None and refusals:
        error = next(iter(refusals.values()))
        why = f"refused {_listed(refusals)} ({reason(error)})"
    else:
        why = f"didn't take everything ({reason(error)})" if error else "took too long"
    much = "1 entry" if count == 1 else f"{count} entries"
    waiting = TrackingError(
        f"MLflow run {name} is not complete: {store.describe()} {why}. The rest ({much}) is kept in "
        f"{shorten(folder)}; send it later with: {sync_command(store)}"
    )
    waiting.__cause__ = error
    return waiting


def writing_error(failures: Mapping[str, Exception], name: str) -> TrackingError:
    """Returns the error for what couldn't be stored at all, neither in MLflow nor on this machine, by what it was."""
    first = next(iter(failures.values()))
    why = one_line(first)
    writing = TrackingError(f"MLflow run {name} is not complete: couldn't store {_listed(failures)} ({why}).")
    writing.__cause__ = first
    return writing


def _listed(failures: Mapping[str, Exception]) -> str:
    names = list(failures)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def sync_command(store: Store) -> str:
    """Returns the command that sends what is left, to be typed in the present working directory."""
    place = store.place()
    if store.address == store.uri:  # the run's record has the address, without a password
        place.pop("tracking.uri", None)
    return typed.command("sync", place)


@contextlib.contextmanager
def translated(store: Store) -> Iterator[None]:
    """Inside the block, errors of MLflow and its drivers become a `TrackingError`: one line for the user."""
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
    """Returns the root cause of `error`, e.g. "Connection refused"."""
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
