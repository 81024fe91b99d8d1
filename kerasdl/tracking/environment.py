"""What a run was made with: code, packages, machine and command, so that a result can be traced and reproduced.

It is only read; nothing is changed, and what can't be read (no git, no repository, no /proc) is left out. `repository`
finds the repositories.
"""

import functools
import getpass
import importlib.metadata
import os
import platform
import shlex
import socket
import sys
from pathlib import Path

from kerasdl.tracking import secrets
from kerasdl.tracking.repository import repositories


def tags() -> dict[str, str]:
    """Returns the facts by which runs are searched, under MLflow's own keys where it has them."""
    facts = {
        "mlflow.user": user(),
        "mlflow.source.name": sys.argv[0] or "python",
        "mlflow.source.type": "LOCAL",
        "command": shlex.join(map(secrets.hide, [Path(sys.executable).name, *sys.orig_argv[1:]])),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "cpu_count": str(os.cpu_count()),
    }
    for number, repository in enumerate(repositories()):
        dirty = str(repository.is_dirty).lower()
        if number:
            name = repository.packages[0]
            facts |= {f"git.{name}.commit": repository.commit, f"git.{name}.dirty": dirty}
        else:
            facts |= {"mlflow.source.git.commit": repository.commit, "git.dirty": dirty}
            facts |= {"git.packages": ", ".join(repository.packages)}
            facts |= {"mlflow.source.git.repoURL": repository.url} if repository.url else {}
    return facts


@functools.cache
def requirements() -> str:
    """Returns the installed packages as the lines of a requirements file; read once in a process and its forks."""
    found = {
        dist.name.lower(): f"{dist.name}=={dist.version}" for dist in importlib.metadata.distributions() if dist.name
    }
    return "\n".join(found[name] for name in sorted(found)) + "\n"


def git_diffs() -> dict[str, str]:
    """Returns the uncommitted changes of the code in use, keyed by the name of their artifact.

    It is `git.diff` for the repository whose commit is `mlflow.source.git.commit`, and `git-<package>.diff` for others.
    """
    named = (
        (f"git-{repository.packages[0]}.diff" if number else "git.diff", repository.diff())
        for number, repository in enumerate(repositories())
    )
    return {name: diff for name, diff in named if diff}


def cpu_model() -> str:
    """Returns the processor's name, or its architecture if the system doesn't tell."""
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
