"""Lines on the terminal: progress, results by name, warnings and complaints."""

import math
import sys
import time


def say(line: str) -> None:
    """Prints a line of progress at once."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Prints a line that the user should not miss, apart from the results."""
    print(f"Warning: {line}", file=sys.stderr, flush=True)


def complain(line: str) -> None:
    """Prints a line about something that wasn't done, and that makes the exit code non-zero."""
    print(f"Error: {line}", file=sys.stderr, flush=True)


def row(name: str, text: str) -> None:
    """Prints a name and what there is to say about it."""
    print(f"{name:<10} {text}", flush=True)


def duration(seconds: float) -> str:
    """Returns seconds as `48 s`, `3 min 12 s` or `2 h 05 min`."""
    minutes, rest = divmod(math.floor(seconds), 60)
    if minutes == 0:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._start
