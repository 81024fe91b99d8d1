import errno
import sqlite3

import filelock
import pytest
import requests
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import OperationalError

from kerasdl.errors import TrackingError
from kerasdl.tracking.failures import is_temporary, reason


def caused(error, cause):
    error.__cause__ = cause
    return error


def http(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


def database(message):
    return OperationalError("INSERT ...", {}, sqlite3.OperationalError(message))


@pytest.mark.parametrize(
    "error",
    [
        database("database is locked"),
        database("database or disk is full"),
        sqlite3.OperationalError("disk I/O error"),
        caused(MlflowException("wrapped"), database("database is locked")),
        MlflowException("x", TEMPORARILY_UNAVAILABLE),
        RestException({"error_code": "INTERNAL_ERROR", "message": "x"}),
        caused(MlflowException("API request failed"), requests.ConnectionError("refused")),
        http(502),
        requests.ReadTimeout(),
        ConnectionResetError(),
        OSError(errno.ENOSPC, "No space left on device"),
        caused(TrackingError("another process opens the store"), filelock.Timeout("lock")),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(error):
    assert is_temporary(error)


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("a defect"),
        MlflowException.invalid_parameter_value("a name"),
        RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "x"}),
        database("no such table: runs"),
        database("connection failed: FATAL: password authentication failed"),
        http(403),
        FileNotFoundError(errno.ENOENT, "No such file"),
        TrackingError("deleted"),
        RuntimeError("a defect"),
        ValueError(),
    ],
    ids=repr,
)
def test_other_errors_are_permanent(error):
    assert not is_temporary(error)


def test_the_reason_is_what_is_at_the_bottom():
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert reason(caused(MlflowException("long"), caused(requests.ConnectionError("longer"), refused))) == (
        "Connection refused"
    )
    assert reason(ValueError("one\ntwo")) == "one two"
