"""Composes configurations of trials from the files as they were when the sweep began.

Editing conf/ must not change a sweep that runs, even if a sampler chooses a configuration hours later: the files are
copied first, and Hydra composes from the copy.
"""

import copy
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from kerasdl.config.checks import check
from kerasdl.config.composition import completed, conf_dir
from kerasdl.config.explain import as_config_error
from kerasdl.config.overrides import for_hydra


class Composer:
    """Composes configurations of trials.

    Args:
        loader: the command's configuration loader, Hydra's.
        master: the configuration that Hydra composed for the sweep as a whole, with its `hydra` node.
    """

    def __init__(self, loader: Any, master: DictConfig):
        self._loader = loader
        self._master = master
        # Keys outside groups: a group has no dot in its name either, and its choice is a node.
        self._plain_keys = frozenset(
            key
            for key in master
            if not OmegaConf.is_missing(master, key) and not OmegaConf.is_config(master._get_node(key))
        )
        self._bases: dict[tuple[str, ...], DictConfig | None] = {}

    def freeze(self, folder: Path) -> None:
        """Copies all folders of configuration files into `folder`, and composes from there; call this once."""
        from hydra._internal.config_loader_impl import ConfigLoaderImpl

        shutil.rmtree(folder, ignore_errors=True)
        search_path = copy.deepcopy(self._loader.get_search_path())
        for number, item in enumerate(search_path.get_path()):
            item.path = _copied(item.path, folder / str(number))
        self._loader = ConfigLoaderImpl(config_search_path=search_path)
        self._freeze_added(folder / "added")

    def _freeze_added(self, folder: Path) -> None:
        """Copies the folders of `hydra.searchpath`, which Hydra looks up whenever it composes."""
        added = OmegaConf.select(self._master, "hydra.searchpath")
        if not added:
            return
        paths = [_copied(path, folder / str(number)) for number, path in enumerate(added)]
        self._master = copy.deepcopy(self._master)
        overrides = self._master.hydra.overrides
        every: Any = OmegaConf.to_container(overrides.hydra, resolve=False)  # they may have interpolations
        typed = [override for override in every if not override.startswith("hydra.searchpath=")]
        # After what train.yaml has, and instead of what was typed.
        overrides.hydra = [*typed, f"hydra.searchpath={json.dumps(paths, ensure_ascii=False)}"]

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Returns a trial's configuration: typed, checked, and resolved, so that nothing can change it later.

        Raises:
            ConfigError: it can't work; names the key.
        """
        from hydra.core.hydra_config import HydraConfig

        with as_config_error():
            config = self._composed(overrides)
            HydraConfig.instance().set_config(config)  # for ${hydra:...}
            with open_dict(config):
                del config["hydra"]
            completed(config)
            # A trial doesn't depend on how it was found.
            config.sweep = None
            check(config)
            OmegaConf.resolve(config)
        return config

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        """Returns what Hydra composes; each choice of files is composed once, since trials mostly differ in values."""
        from hydra._internal.config_loader_impl import ConfigLoaderImpl
        from hydra.core.override_parser.overrides_parser import OverridesParser

        overrides = for_hydra(overrides, conf_dir())
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(overrides)
        values = [override for override in parsed if self._is_value(override)]
        choices = tuple(str(override.input_line) for override in parsed if not self._is_value(override))
        if choices not in self._bases:
            base = self._loader.load_sweep_config(self._master, list(choices))
            self._bases[choices] = None if _reads_hydra(base) else base
        base = self._bases[choices]
        if base is None:
            return self._loader.load_sweep_config(self._master, overrides)
        config = copy.deepcopy(base)
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config

    def _is_value(self, override: Any) -> bool:
        """Returns whether an override changes a key's value, and neither chooses a file nor adds or removes a key."""
        from hydra.core.override_parser.types import OverrideType

        key = override.key_or_group
        if override.type is not OverrideType.CHANGE or "/" in key or override.package:
            return False
        return "." in key or key in self._plain_keys


def _reads_hydra(config: DictConfig) -> bool:
    """Returns whether the configuration refers to Hydra's own, which depends on all overrides."""
    return any(
        "${hydra:" in str(OmegaConf.to_yaml(config[key]))
        for key in config
        if key != "hydra" and OmegaConf.is_config(config[key])
    )


def _copied(path: str, target: Path) -> str:
    """Copies a folder and returns the copy's path; what isn't a folder (a package, a schema) keeps its own."""
    folder = Path(path.removeprefix("file://"))
    if "://" in path.removeprefix("file://") or not folder.is_dir():
        return path
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    return str(target)
