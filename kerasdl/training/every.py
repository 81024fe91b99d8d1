"""When something is due that happens every so many steps, epochs or minutes."""

import time

from kerasdl.config.cadence import Cadence


class Every:
    """Tells when a cadence is due.

    Args:
        cadence: how often; None for never.
        steps_per_epoch: training steps an epoch.
    """

    def __init__(self, cadence: Cadence | None, steps_per_epoch: int):
        self._steps = cadence.steps(steps_per_epoch) if cadence else None
        self._seconds = 60 * cadence.count if cadence and cadence.unit == "minutes" else None
        self._last = time.monotonic()

    def distance(self, step: int) -> float:
        """Returns the number of steps from `step` to the next one at which it is due, or infinity."""
        return self._steps - step % self._steps if self._steps else float("inf")

    def due(self, step: int) -> bool:
        """Returns whether it is due when `step` steps are done."""
        if self._seconds:
            return time.monotonic() - self._last >= self._seconds
        return self._steps is not None and step > 0 and step % self._steps == 0

    def happened(self) -> None:
        """Starts the clock anew."""
        self._last = time.monotonic()
