"""How many steps the next compiled call runs.

Long calls cost the fewest round trips; short ones keep the progress bar moving and Ctrl-C quick. `auto` measures and
aims at half a second. How training is cut into calls changes nothing in its result.
"""

_SECONDS = 0.5


class CallLength:
    """Chooses the length of each call.

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
            return 1  # the call that traces and compiles: its time says nothing
        return max(1, min(int(self._steps_per_second * _SECONDS), remaining))

    def record(self, steps: int, seconds: float) -> None:
        """Notes how long a call took."""
        if self._warm:
            self._steps_per_second = steps / max(seconds, 1e-6)
        else:
            self._warm = True
            self._steps_per_second = 10 / _SECONDS  # ten steps to measure by
