"""Everything that decides a result, as one hash: on one machine, two runs with the same hash give the same bits.

Where a run is logged, how it is shown, where its data is kept, how many steps one compiled call takes and how often
the state is saved don't change the result, so they are left out. So is a key that earlier versions lack
(`kerasdl.config.keys.added`) while it has its default. The hash covers the source of the user's own code
(`kerasdl.config.source`). Resuming and sweeps find earlier work by it.
"""

import ast
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl.config.keys import ADDED, SWITCH, node_type
from kerasdl.config.renames import with_former_names, with_public_names
from kerasdl.config.schema import type_of
from kerasdl.config.source import sources, with_sources

GROUPS = ("model", "data", "task", "optimizer", "schedule", "trainer", "callbacks")
_NOT_DECIDING = {
    "data": {"data_dir", "manual_dir"},
    "trainer": {"steps_per_call", "check_numerics", "profile"},
}


def deciding(config: DictConfig) -> dict[str, Any]:
    """Returns the part of the resolved configuration that decides the result, as plain containers.

    Targets have their public names, also in a configuration of an earlier version.
    """
    tree: Any = OmegaConf.to_container(config, resolve=True)
    return deciding_part(tree)


def deciding_part(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the same as `deciding`, from plain containers; values may be strings, as MLflow keeps them."""
    kept = {name: with_public_names(tree[name]) for name in GROUPS}
    for group, keys in _NOT_DECIDING.items():
        for key in keys:
            kept[group].pop(key, None)
    if kept["trainer"].get("on_nan") != "rollback":
        # With rollback it decides which checkpoints a run can go back to.
        kept["trainer"].pop("checkpoint", None)
    for group in GROUPS:
        if kind := type_of(group, kept[group]):
            kept[group] = without_additions(kept[group], kind)
    for callback in kept["callbacks"].values():
        if isinstance(callback, dict):
            for output in ("log_dir", "filepath"):
                callback.pop(output, None)
    return {**kept, "seed": tree["seed"]}


def without_additions(node: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Returns a node of the configuration without the added keys, its own and those below, that have their defaults.

    Args:
        node: plain containers; values may be strings, as MLflow keeps them.
        kind: the dataclass that types it.
    """
    kept = dict(node)
    for item in dataclasses.fields(kind):
        if item.name not in kept:
            continue
        value = kept[item.name]
        if item.metadata.get(ADDED) and _is_default(value, item):
            del kept[item.name]
        elif (below := node_type(item)) and isinstance(value, Mapping):
            kept[item.name] = without_additions(value, below)
    return kept


def config_hash(config: DictConfig, digests: Mapping[str, str] | None = None) -> str:
    """Returns 16 hexadecimal digits of the SHA-256 of what decides the result.

    Args:
        config: the configuration.
        digests: of the source of the user's own code, as `source_digests` gives them; None: of the source as it is now.

    Raises:
        ConfigError: the source can't be found or read.
    """
    tree = deciding(config)
    # Targets have the names that the first versions gave them, so that a rename changes no identity.
    tree = with_former_names(with_sources(tree, sources(tree) if digests is None else digests))
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_digests(config: DictConfig) -> dict[str, str]:
    """Returns the digests of the source of the user's own code by the keys of the nodes that name it, e.g. `model`.

    Raises:
        ConfigError: the source can't be found or read.
    """
    return sources(deciding(config))


def differences(before: dict[str, Any], now: dict[str, Any], where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields (key, value before, value now) for each key in which two results of `deciding` differ."""
    for key in sorted({*before, *now}):
        old, new, path = before.get(key), now.get(key), f"{where}{key}"
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{path}.")
        elif old != new or type(old) is not type(new):
            yield path, old, new


def _is_default(value: Any, item: dataclasses.Field) -> bool:
    default = item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
    if not dataclasses.is_dataclass(default):
        return _equal(value, default)
    values, defaults = value or {}, dataclasses.asdict(default)  # type: ignore[arg-type]
    keys = [item.metadata[SWITCH]] if item.metadata[SWITCH] else [*defaults]
    return all(_equal(values.get(key, defaults[key]), defaults[key]) for key in keys)


def _equal(value: Any, default: Any) -> bool:
    """Returns whether a value, or the string of one, is the default."""
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return False
    return value == default and isinstance(value, bool) == isinstance(default, bool)
