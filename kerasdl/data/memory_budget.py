"""Reads `data.memory_budget`: how much decoded data may be held in memory."""

import re

from kerasdl.errors import ConfigError

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", start=1)}
_UNITS |= {f"{prefix}IB": 1024**power for power, prefix in enumerate("KMGT", start=1)}


def parse(value: str | int) -> int:
    """Returns the number of bytes that `value` stands for.

    Args:
        value: an int, or a number with a unit: `"500MB"` (10^6), `"2 GB"` (10^9), `"1.5GiB"` (2^30), `"0"`.

    Raises:
        ConfigError: it is none of these.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(value))
    if match is None or match[2].upper() not in _UNITS:
        raise ConfigError(
            f"data.memory_budget must be a number of bytes or a size such as 500MB, 2GB or 1.5GiB. Received: {value!r}."
        )
    return int(float(match[1]) * _UNITS[match[2].upper()])
