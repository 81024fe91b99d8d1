"""The git repositories of the code in use: their commit, and what has changed since.

The code in use is kerasdl's own and that of the packages that KERASDL_TARGETS names. It belongs to a repository if git
tracks it there; a copy in an environment inside somebody's project doesn't. The present working directory doesn't
matter, and neither do files that git ignores. Nothing here changes a repository, or runs a program that its settings
name, except for its own filters (such as LFS), without which git can't tell what has changed.
"""

import contextlib
import importlib.util
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kerasdl.tracking import secrets

MAX_DIFF_BYTES = 2**20
_TIMEOUT_SECONDS = 10
_CUT = "[cut here: the diff is longer]\n"
# The user's settings must not change the format, call programs, or show the contents of submodules.
_DIFF = (
    "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color", "--submodule=short",
    "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


@dataclass(frozen=True)
class Repository:
    """A repository with code in use.

    Attributes:
        root: its working tree.
        commit: what is checked out.
        packages: names of the packages in use that are in it.
    """

    root: Path
    commit: str
    packages: tuple[str, ...]

    @property
    def is_dirty(self) -> bool:
        """Whether there are uncommitted changes."""
        return bool(_git(self.root, "status", "--porcelain", limit=1))

    @property
    def url(self) -> str:
        """The address of its remote repository without passwords; "" if there is none."""
        return secrets.hide((_git(self.root, "config", "--get", "remote.origin.url") or b"").decode().strip())

    def diff(self) -> str:
        """Returns the uncommitted changes without passwords, at most `MAX_DIFF_BYTES` of whole lines; "" if none."""
        changed = _git(self.root, *_DIFF, "--name-only", "-z")
        if not changed:
            return ""
        # Files that are tracked although they are ignored; git's exit code is 1 if there are none.
        ignored = _git(self.root, "check-ignore", "--no-index", "--stdin", "-z", input=changed, good=(0, 1))
        if ignored is None:
            return ""
        left_out = [f":(exclude,literal){os.fsdecode(name)}" for name in ignored.split(b"\0") if name]
        found = _git(self.root, *_DIFF, "--", ".", *left_out, limit=MAX_DIFF_BYTES + 1) or b""
        return _cut(secrets.hide(found.decode(errors="replace")))


def repositories() -> list[Repository]:
    """Returns the repositories of the code in use, kerasdl's first."""
    packages: dict[Path, list[str]] = {}
    own = (name.strip().partition(".")[0] for name in os.environ.get("KERASDL_TARGETS", "").split(","))
    for package in dict.fromkeys(("kerasdl", *filter(None, own))):
        for place in _places(package):
            root = _root(place)
            if root and package not in packages.setdefault(root, []):
                packages[root].append(package)
    commits = {root: (_git(root, "rev-parse", "HEAD") or b"").decode().strip() for root in packages}
    return [Repository(root, commits[root], tuple(names)) for root, names in packages.items() if commits[root]]


def _places(package: str) -> Iterator[Path]:
    """Yields the folders or the file of a package, without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is not None:
        found = spec.submodule_search_locations or ([spec.origin] if spec.has_location and spec.origin else [])
        yield from (Path(place).resolve() for place in found)


def _root(place: Path) -> Path | None:
    """Returns the working tree of the repository that tracks a folder or file, if one does."""
    folder, name = (place, ".") if place.is_dir() else (place.parent, f":(literal){place.name}")
    if not _git(folder, "ls-files", "--", name, limit=1):
        return None
    root = _git(folder, "rev-parse", "--show-toplevel")
    return Path(os.fsdecode(root.removesuffix(b"\n"))) if root else None


def _cut(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= MAX_DIFF_BYTES:
        return text
    whole_lines = encoded[: MAX_DIFF_BYTES - len(_CUT)].rpartition(b"\n")
    return b"".join(whole_lines[:2]).decode() + _CUT


def _git(
    folder: Path, *arguments: str, input: bytes = b"", limit: int = -1, good: tuple[int, ...] = (0,)
) -> bytes | None:
    """Returns the output of a git command, or None without git, without a repository, or if it fails.

    Args:
        folder: where it runs, whatever repository the environment names (as in a hook).
        arguments: of git.
        input: its standard input.
        limit: bytes of output to read; -1: all.
        good: exit codes that mean success.
    """
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_NO_LAZY_FETCH"] = "1"  # don't fetch what a partial clone lacks
    with contextlib.ExitStack() as stack:
        try:
            stdin = stack.enter_context(tempfile.TemporaryFile())
            stdin.write(input)
            stdin.seek(0)
            process = stack.enter_context(
                subprocess.Popen(
                    command, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            )
        except OSError:
            return None
        timer = threading.Timer(_TIMEOUT_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout
            output = process.stdout.read(limit)
            is_enough = len(output) == limit
            if is_enough:
                process.kill()
            return output if process.wait() in good or is_enough else None
        finally:
            timer.cancel()
