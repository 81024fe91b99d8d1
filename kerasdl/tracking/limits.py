"""Makes values fit MLflow's limits: flat keys, texts of limited length, batches of limited size."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerasdl.tracking import secrets

# Limits of MLflow's protocol (mlflow.utils.validation), for one value and for one request.
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000
MAX_DIGEST_LENGTH = 36
MAX_PARAMS = 100
MAX_METRICS = 1000


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns `nested` with keys joined by dots and values as text, cut to what MLflow takes.

    Example:
        >>> flatten({"data": {"batch_size": 64}, "seed": 0})
        {'data.batch_size': '64', 'seed': '0'}
    """
    flat: dict[str, str] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = shorten(secrets.hide(str(value)), MAX_PARAM_LENGTH)
    return flat


def shorten(text: str, length: int) -> str:
    """Returns `text`, its end replaced by "..." if it is longer than `length` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yields `items` in pieces of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
