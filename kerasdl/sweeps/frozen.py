"""Configurations of trials, composed from the files as they were when the sweep began.

Editing conf/ while a sweep runs must change nothing in it, also where a sampler chooses a configuration hours later:
the files are copied first, and Hydra composes from the copy.
"""

import copy
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from kerasdl.config.checks import check
from kerasdl.config.explain import as_config_error


class Composer:
    """Composes the configuration of a trial.

    Args:
        loader: Hydra's configuration loader of the command.
        master: the configuration that Hydra composed for the sweep as a whole, with its `hydra` node.
    """

    def __init__(self, loader: Any, master: DictConfig):
        self._loader = loader
        self._master = master

    def freeze(self, folder: Path) -> None:
        """Copies all folders of configuration files into `folder`, and composes from there; call this once."""
        from hydra._internal.config_loader_impl import ConfigLoaderImpl

        shutil.rmtree(folder, ignore_errors=True)
        search_path = copy.deepcopy(self._loader.get_search_path())
        for number, item in enumerate(search_path.get_path()):
            item.path = _copied(item.path, folder / str(number))
        self._loader = ConfigLoaderImpl(config_search_path=search_path)

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Returns a trial's configuration: typed, checked, and resolved, so that nothing can change it later.

        Raises:
            ConfigError: it can't work; names the key.
        """
        from hydra.core.hydra_config import HydraConfig

        with as_config_error():
            config = self._loader.load_sweep_config(self._master, list(overrides))
            HydraConfig.instance().set_config(config)  # for ${hydra:...}
            with open_dict(config):
                del config["hydra"]
            # A trial doesn't depend on how it was found.
            config.sweep = None
            check(config)
            OmegaConf.resolve(config)
        return config


def _copied(path: str, target: Path) -> str:
    """Returns the path of a copy in `target`; what isn't a folder of files (a package, a schema) stays as it is."""
    folder = Path(path.removeprefix("file://"))
    if "://" in path.removeprefix("file://") or not folder.is_dir():
        return path
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    return str(target)
