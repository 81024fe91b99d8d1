"""What this machine has to share out among trials: processor cores and GPUs."""

import os
import re
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """What one trial gets.

    Attributes:
        threads: for TensorFlow, where the configuration leaves them open, >= 1.
        gpus: names of the GPUs that it may use; None leaves that to the environment.
    """

    threads: int
    gpus: tuple[str, ...] | None


def share(slot: int, slots: int, gpus: tuple[str, ...], cores: int) -> Share:
    """Returns the share of one of `slots` equal trials; with fewer GPUs than trials several trials have the same."""
    threads = max(1, cores // slots)
    if not gpus:
        return Share(threads, None)
    each = max(1, len(gpus) // slots)
    first = slot * each % len(gpus)
    return Share(threads, gpus[first : first + each])


def describe(slots: int, gpus: tuple[str, ...], cores: int) -> str:
    """Returns in a few words what each of `slots` trials gets."""
    if gpus:
        each = len(gpus) // slots
        return f"{each} GPU{'s' if each > 1 else ''}" if each else f"a part of {len(gpus)} GPUs"
    threads = share(0, slots, gpus, cores).threads
    return f"{threads} thread{'s' if threads > 1 else ''}"


def visible_gpus() -> tuple[str, ...]:
    """Returns the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip() and name.strip() != "-1")
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    # The parts of a partitioned GPU (MIG) are on indented lines.
    return tuple(re.findall(r"^GPU (\d+):", listed, re.MULTILINE))


def usable_cores() -> int:
    """Returns the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
