"""A PostgreSQL server of a test's own, from the programs of Debian's package, gone when the test is."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweeping import wait_until

_USER = "postgres"  # Debian's


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Yields the address of an empty database; skips the test, with the reason, where there can be none."""
    programs, user = _programs(), _user()
    # Not in pytest's folder, which is closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        if user:
            shutil.chown(folder, user)
        options = {"cwd": folder, "user": user, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        made = subprocess.run(
            [programs / "initdb", "-D", f"{folder}/data", "--auth=trust", "--username=kerasdl", "--no-sync"], **options
        )
        assert made.returncode == 0, made.stdout
        port = _free_port()
        place = ["-h", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(
            [programs / "postgres", "-D", f"{folder}/data", *place, "-k", folder, "-c", "fsync=off"], **options
        )
        try:
            is_ready = [programs / "pg_isready", "-q", *place]
            wait_until(lambda: process.poll() is not None or subprocess.run(is_ready).returncode == 0, "PostgreSQL")
            assert process.poll() is None, process.communicate()[0]
            yield f"postgresql://kerasdl@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # its fast way to end
            process.communicate(timeout=60)


def _programs() -> Path:
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found and (initdb := shutil.which("initdb")):
        found = [Path(initdb).resolve()]
    if not found:
        pytest.skip("PostgreSQL isn't installed (Debian's package postgresql)")
    pytest.importorskip("psycopg", reason="PostgreSQL's driver isn't installed (psycopg)")
    return max(found).parent


def _user() -> str | None:
    """Returns who has to run it instead of this process's user, if somebody has to: it refuses to run for root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_USER).pw_name
    except KeyError:
        pytest.skip(f"PostgreSQL doesn't run for root, and there is no user {_USER}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
