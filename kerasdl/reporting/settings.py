"""A run's configuration as a table: every key with its value, and what the chosen files of conf/ say instead."""

from collections.abc import Mapping
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf


@dataclass(frozen=True)
class Setting:
    """A key of the configuration: its value, and what the chosen files say if that is another (None if it is not)."""

    key: str
    value: str
    default: str | None


def settings(config: DictConfig, defaults: Mapping[str, str]) -> dict[str, list[Setting]]:
    """Returns the configuration by group; keys that are in none are in "general".

    Args:
        config: of the run.
        defaults: for keys that differ from what the chosen files say: that (`Reproduction.defaults`).
    """
    groups: dict[str, list[Setting]] = {}
    for name in config:
        node = config[name]
        rows = _rows(OmegaConf.to_container(node) if OmegaConf.is_config(node) else node, str(name))
        title = str(name) if OmegaConf.is_config(node) else "general"
        for key, value in rows:
            default = next((old for changed, old in defaults.items() if _is_below(key, changed)), None)
            groups.setdefault(title, []).append(Setting(key, value, default))
    groups.pop("sweep", None)  # a run doesn't depend on how it was found
    return groups


def _rows(node: object, key: str) -> list[tuple[str, str]]:
    if isinstance(node, dict) and node:
        return [row for name, value in node.items() for row in _rows(value, f"{key}.{name}")]
    return [(key, "null" if node is None else str(node).lower() if isinstance(node, bool) else str(node))]


def _is_below(key: str, ancestor: str) -> bool:
    return key == ancestor or key.startswith(f"{ancestor}.")
