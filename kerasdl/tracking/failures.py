"""What went wrong in the background: whether it may pass, and how it is told, once and in one line."""

from collections.abc import Sequence

from kerasdl.errors import TrackingError
from kerasdl.tracking import secrets
from kerasdl.tracking.store import Store
from kerasdl.tracking.worker import Failure


def is_temporary(error: Exception) -> bool:
    """Returns whether the same call may succeed later: a server is away or busy, a database is locked."""
    import requests
    from mlflow.exceptions import MlflowException

    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return True
    # MLflow wraps what its HTTP client raises without naming it as the cause.
    wrapped = error.__cause__ or error.__context__
    return isinstance(error, MlflowException) and (
        error.error_code in ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED")
        or isinstance(wrapped, requests.RequestException)
    )


def opening_error(error: Exception, store: Store) -> TrackingError:
    """Returns the error for a store in which no run could be created."""
    if isinstance(error, TrackingError):
        return error
    told = TrackingError(
        f"{store.key} must be a store in which MLflow can create a run ({one_line(error)}). "
        f"Received: '{store.address}'. Name another one, or go without with tracking=none."
    )
    told.__cause__ = error
    return told


def writing_error(failures: Sequence[Failure], run_id: str | None, store: Store) -> TrackingError:
    """Returns the error for jobs that couldn't be done."""
    names = list(dict.fromkeys(failure.name for failure in failures))
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    told = TrackingError(
        f"MLflow run {run_id} is not complete: could not write {listed} ({one_line(failures[0].error)}). "
        f"See that {store.key} ('{store.address}') can be reached and has space, then run again."
    )
    told.__cause__ = failures[0].error
    return told


def one_line(error: Exception) -> str:
    """Returns the message of `error` without line breaks, at most 300 characters of it."""
    text = secrets.hide(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
