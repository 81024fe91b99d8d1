"""When something is due during training, and how many steps a compiled call runs until then."""

import time

from kerasdl.config.cadence import Cadence

_SECONDS_PER_CALL = 0.5


class Every:
    """Decides when something with a cadence is due.

    Args:
        cadence: how often; None for never.
        steps_per_epoch: training steps per epoch.
    """

    def __init__(self, cadence: Cadence | None, steps_per_epoch: int):
        self._steps = cadence.steps(steps_per_epoch) if cadence else None
        self._seconds = 60 * cadence.count if cadence and cadence.unit == "minutes" else None
        self._last = time.monotonic()

    def distance(self, step: int) -> float:
        """Returns the number of steps until it is due next, or infinity if no step decides that."""
        return self._steps - step % self._steps if self._steps else float("inf")

    def due(self, step: int) -> bool:
        """Returns whether it is due when `step` steps are done."""
        if self._seconds:
            return time.monotonic() - self._last >= self._seconds
        return self._steps is not None and step > 0 and step % self._steps == 0

    def happened(self) -> None:
        """Restarts the clock."""
        self._last = time.monotonic()


class StepsPerExecution:
    """Chooses how many steps the next compiled call runs.

    Long calls need the fewest round trips to Python; short ones keep the progress bar and Ctrl-C responsive. `auto`
    measures, and aims at half a second. The length of calls doesn't change the result of training.

    Args:
        choice: `auto`, or a fixed number of steps >= 1.
    """

    def __init__(self, choice: str | int):
        self._fixed = None if choice == "auto" else int(choice)
        self._steps_per_second: float | None = None
        self._warm = False

    def next(self, remaining: int) -> int:
        """Returns the length of the next call, from 1 to `remaining` steps."""
        if self._fixed:
            return min(self._fixed, remaining)
        if self._steps_per_second is None:
            return 1  # this call traces and compiles, so its time isn't used
        return max(1, min(int(self._steps_per_second * _SECONDS_PER_CALL), remaining))

    def record(self, steps: int, seconds: float) -> None:
        """Records how long a call took."""
        if self._warm:
            self._steps_per_second = steps / max(seconds, 1e-6)
        else:
            self._warm = True
            self._steps_per_second = 10 / _SECONDS_PER_CALL  # ten steps for the first measurement
