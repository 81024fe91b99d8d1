"""What decides a result, as one hash: two runs with the same identity on the same machine give the same bits.

Where a run is logged, how it is shown, where its data is kept, how many steps one compiled call takes and how often
the state is saved change nothing in the result, so they are left out. Resume and sweeps find earlier work by this hash.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

GROUPS = ("model", "data", "task", "optimizer", "schedule", "trainer", "callbacks")
_NOT_DECIDING = {
    "data": {"data_dir", "manual_dir"},
    "trainer": {"steps_per_call", "check_numerics", "profile", "checkpoint"},
}


def deciding(config: DictConfig) -> dict[str, Any]:
    """Returns the part of the resolved configuration that decides the result, as plain containers."""
    tree: Any = OmegaConf.to_container(config, resolve=True)
    return deciding_part(tree)


def deciding_part(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `deciding` does, of plain containers; values may be texts, as MLflow keeps them."""
    kept = {name: dict(tree[name]) for name in GROUPS}
    for group, keys in _NOT_DECIDING.items():
        for key in keys:
            kept[group].pop(key, None)
    if str((kept["trainer"].get("adversarial") or {}).get("epsilon", 0)) in ("0", "0.0"):
        kept["trainer"].pop("adversarial", None)  # off, as in every run that was made before there was such a key
    for callback in kept["callbacks"].values():
        if isinstance(callback, dict):
            for output in ("log_dir", "filepath"):
                callback.pop(output, None)
    return {**kept, "seed": tree["seed"]}


def config_hash(config: DictConfig) -> str:
    """Returns 16 hexadecimal digits of the SHA-256 of what decides the result."""
    text = json.dumps(deciding(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(before: dict[str, Any], now: dict[str, Any], where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields (key, value before, value now) for each key in which two results of `deciding` differ."""
    for key in sorted({*before, *now}):
        old, new, path = before.get(key), now.get(key), f"{where}{key}"
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{path}.")
        elif old != new or type(old) is not type(new):
            yield path, old, new
