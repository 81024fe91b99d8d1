"""Profiles a range of training steps in TensorBoard's format."""

from pathlib import Path

import tensorflow as tf


class Profiling:
    """Starts TensorFlow's profiler at one step and stops it at another.

    Args:
        steps: (first, last), counted from the start of training; None for no profile.
        folder: where the trace is written; None with no profile.
    """

    def __init__(self, steps: tuple[int, int] | None, folder: Path | None):
        self._boundaries = list(steps) if steps else []
        self._folder = folder
        self._running = False

    def distance(self, step: int) -> float:
        """Returns the number of steps until the profile starts or stops; calls end there."""
        return self._boundaries[0] - step if self._boundaries and self._boundaries[0] > step else float("inf")

    def at(self, step: int) -> None:
        """Starts or stops the profiler if `step` is one of its boundaries."""
        while self._boundaries and step >= self._boundaries[0]:
            self._boundaries.pop(0)
            self.stop() if self._running else self._start()

    def stop(self) -> None:
        """Stops the profiler and writes the trace, if it runs."""
        if self._running:
            tf.profiler.experimental.stop()
            self._running = False

    def _start(self) -> None:
        tf.profiler.experimental.start(str(self._folder))
        self._running = True
