"""What a run was made with: code, packages, machine and command, so that a result can be traced and repeated.

Collected by reading, never by changing anything, and quiet where there is nothing to read: no git, no repository, no
/proc. How it is kept is left to the tracker.
"""

import functools
import getpass
import importlib.metadata
import os
import platform
import shlex
import socket
import subprocess
import sys
from pathlib import Path

from kerasdl.tracking import secrets

MAX_DIFF_BYTES = 2**20
GIT_TIMEOUT_SECONDS = 10


def tags() -> dict[str, str]:
    """Returns the facts that one searches runs by, under MLflow's own keys where it has them."""
    facts = {
        "mlflow.user": user(),
        "mlflow.source.name": sys.argv[0] or "python",
        "mlflow.source.type": "LOCAL",
        "command": secrets.hide(shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]])),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "cpu_count": str(os.cpu_count()),
    }
    if commit := _git("rev-parse", "HEAD"):
        facts["mlflow.source.git.commit"] = commit.strip()
        facts["git.dirty"] = str(bool(_git("status", "--porcelain"))).lower()
    return facts


@functools.cache
def requirements() -> str:
    """Returns the installed packages as the lines of a requirements file; read once a process, and its forks."""
    found = {
        dist.name.lower(): f"{dist.name}=={dist.version}" for dist in importlib.metadata.distributions() if dist.name
    }
    return "\n".join(found[name] for name in sorted(found)) + "\n"


def git_diff() -> str | None:
    """Returns what the working tree has over the commit, at most `MAX_DIFF_BYTES` of it; None if nothing."""
    diff = _git("diff", "HEAD")
    if diff and len(diff) > MAX_DIFF_BYTES:
        diff = diff[:MAX_DIFF_BYTES] + f"\n[cut: the whole diff has {len(diff)} characters]\n"
    return diff or None


def cpu_model() -> str:
    """Returns the processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def user() -> str:
    """Returns the name of the user who runs the program."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _git(*arguments: str) -> str | None:
    """Returns the output of a git command in the working directory; None without git or a repository."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            capture_output=True, timeout=GIT_TIMEOUT_SECONDS, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")
