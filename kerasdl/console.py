"""Lines on the terminal: progress, named results, warnings and errors."""

import math
import sys
import time


def say(line: str) -> None:
    """Prints a line of progress, unbuffered."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Prints a warning to standard error."""
    print(f"Warning: {line}", file=sys.stderr, flush=True)


def complain(line: str) -> None:
    """Prints an error to standard error, for something that failed without ending the command."""
    print(f"Error: {line}", file=sys.stderr, flush=True)


def row(name: str, text: str) -> None:
    """Prints a name and its text in two columns."""
    print(f"{name:<10} {text}", flush=True)


def duration(seconds: float) -> str:
    """Returns seconds as `48 s`, `3 min 12 s` or `2 h 05 min`."""
    minutes, rest = divmod(math.floor(seconds), 60)
    if minutes == 0:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


class Stopwatch:
    """Measures seconds since it was created."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._start
