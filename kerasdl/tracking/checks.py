"""Checks quickly, without MLflow, whether a directory, a database file or a server can hold runs.

An experiment does so before it prepares data or builds a network, so that a full disk or a mistyped address costs the
user a second instead of an hour. Each check raises a `TrackingError` that names the key to change.
"""

import http.client
import os
import shutil
import ssl
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from kerasdl.errors import TrackingError
from kerasdl.tracking import secrets

MIN_FREE_BYTES = 50 * 2**20
SERVER_TIMEOUT_SECONDS = 3.0
_WITHOUT_SCHEME = ("databricks", "databricks-uc", "uc")  # addresses of MLflow that look like folders


class Away(TrackingError):
    """A tracking server that doesn't answer; a run that is resumed may wait for it."""


def check_address(uri: str, key: str) -> None:
    """Raises TrackingError if `uri` is a folder: MLflow keeps no runs in files any more, unless that is switched on."""
    if urllib.parse.urlsplit(uri).scheme not in ("", "file") or uri in _WITHOUT_SCHEME:
        return
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
        return
    folder = urllib.request.url2pathname(uri.removeprefix("file:").removeprefix("//"))
    raise TrackingError(
        f"{key} must be the address of a database or a server: this MLflow keeps no runs in files. "
        f"Received: '{uri}'. Name a database, e.g. {key}=sqlite:///{folder}.db, or a folder with paths.output_dir=DIR."
    )


def check_directory(directory: Path, key: str) -> None:
    """Raises TrackingError unless files can be written to `directory`, which is created if it doesn't exist."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise TrackingError(
            f"{key} must be a directory that can be written ({error.strerror or error}). Received: '{directory}'. "
            f"Name another one, e.g. {'paths.output_dir=DIR' if key == 'paths.output_dir' else key + '=...'}."
        ) from error
    if free < MIN_FREE_BYTES:
        raise TrackingError(
            f"{key} must have at least {MIN_FREE_BYTES >> 20} MB of free space. Received: '{directory}' with "
            f"{free / 2**20:.1f} MB. Free some space there, or name another directory."
        )


def check_database(database: Path, key: str) -> None:
    """Raises TrackingError if `database` exists and isn't a sqlite file."""
    try:
        with open(database, "rb") as file:
            header = file.read(16)
    except FileNotFoundError:
        return
    except OSError as error:
        raise TrackingError(f"{key}: {database} can't be read ({error.strerror}). Name another place.") from error
    if header not in (b"", b"SQLite format 3\0"):
        raise TrackingError(
            f"{key}: {database} must be a sqlite database, and isn't. Move it away, or name another place."
        )


def check_server(uri: str, key: str) -> None:
    """Raises Away unless an HTTP server answers at `uri` in time."""
    outcome: list[str | None] = []
    # A thread, because looking up a host's name has no timeout of its own.
    request = threading.Thread(target=lambda: outcome.append(_ask(f"{uri}/health")), daemon=True)
    request.start()
    request.join(SERVER_TIMEOUT_SECONDS)
    problem = outcome[0] if outcome else f"no answer in {SERVER_TIMEOUT_SECONDS:g} s"
    if problem:
        raise Away(
            f"{key} must be the address of a running MLflow server ({problem}). Received: '{secrets.hide(uri)}'. "
            "Start the server, correct the address, or train without one: tracking=none."
        )


def _ask(url: str) -> str | None:
    """Returns None if a server answers at `url`, else what went wrong."""
    try:
        urllib.request.urlopen(url, timeout=SERVER_TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:
        # A proxy that asks for a password, or doesn't know /health, is there; MLflow finds out what it allows.
        return None if error.code < 500 else f"HTTP status {error.code}"
    except urllib.error.URLError as error:
        # MLflow decides about a private certificate (MLFLOW_TRACKING_SERVER_CERT_PATH).
        return None if isinstance(error.reason, ssl.SSLCertVerificationError) else str(error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    return None
