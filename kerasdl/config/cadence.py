"""How often something happens, as a user types it: `7steps`, `1epochs`, `10minutes`."""

import math
import re
from dataclasses import dataclass
from typing import Any

from kerasdl.errors import ConfigError

_UNITS = ("steps", "epochs", "minutes")


@dataclass(frozen=True)
class Cadence:
    """Every `count` of `unit`: `steps` (a whole number), `epochs` or `minutes` (which may be fractions)."""

    count: float
    unit: str

    def steps(self, steps_per_epoch: int) -> int | None:
        """Returns the cadence in training steps, at least 1; None if it goes by the clock."""
        if self.unit == "minutes":
            return None
        return max(1, round(self.count * (steps_per_epoch if self.unit == "epochs" else 1)))


def cadence(text: Any, key: str, units: tuple[str, ...] = _UNITS) -> Cadence | None:
    """Reads a cadence; null gives None, which is never.

    Args:
        text: e.g. `7steps`, `1 epochs`, `0.5epochs`, `10minutes`; the unit may stand in the singular.
        key: the configuration's key, for the error.
        units: which units are allowed.

    Raises:
        ConfigError: it is something else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+|\d*\.\d+)\s*(step|epoch|minute)s?\s*", str(text))
    count, unit = (float(found[1]), f"{found[2]}s") if found else (0.0, "")
    if unit not in units or not 0 < count < math.inf or (unit == "steps" and count != int(count)):
        examples = {"steps": "100steps", "epochs": "1epochs", "minutes": "10minutes"}
        allowed = " or ".join("whole steps" if unit == "steps" else unit for unit in units)
        raise ConfigError(
            f"{key} must be a number > 0 of {allowed}, with the unit, or null for never. Received: '{text}'. "
            f"Example: {key}={examples[units[0]]}"
        )
    return Cadence(count, unit)
