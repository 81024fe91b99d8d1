"""Finds conf/, registers the types of its groups, and composes a configuration from Python."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

from omegaconf import DictConfig, ListConfig, OmegaConf

from kerasdl.config.overrides import for_hydra, groups, options
from kerasdl.config.renames import rename_targets
from kerasdl.config.schema import Paths, Tracking
from kerasdl.errors import ConfigError


def conf_dir() -> Path:
    """Returns the folder of YAML files: conf/ of a checkout, or its copy inside an installed package."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package.parent / "conf", package / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"conf/train.yaml is neither beside nor inside {package}; reinstall kerasdl")


def register() -> None:
    """Gives every group its types, so that Hydra refuses misspelt keys and wrong types while composing."""
    _store_types()
    OmegaConf.register_new_resolver("groups", _groups, replace=True)


@functools.cache
def _store_types() -> None:
    """Puts the types into Hydra's store, once per process: it takes 30 ms, a fifth of composing a configuration."""
    from hydra.core.config_store import ConfigStore

    from kerasdl.config import schema

    # Hydra copies the store with each composition, which takes half of its time, and more than a hundred times for
    # --help. The process has one store, and nothing writes to it later.
    ConfigStore.__deepcopy__ = lambda self, memo: self  # type: ignore[attr-defined]
    store = ConfigStore.instance()
    store.store(name="schema", node=schema.Config)
    # Each file of conf/ names its type in its defaults list, e.g. `/schema/model@_here_: cnn`.
    for node in (schema.Data, schema.Trainer, schema.Tracking, schema.Sweep):
        store.store(group="schema", name=node.__name__.lower(), node=node)
    for group, base in schema.CHOICES.items():
        for choice in base.__subclasses__():
            store.store(group=f"schema/{group}", name=choice._target_.rpartition(".")[2].lower(), node=choice)


def completed(config: DictConfig) -> DictConfig:
    """Completes a configuration that Hydra has composed: public names, and `data.normalization` as lists of floats.

    One number may be typed for all channels. It is kept as a list, so that it is the same configuration either way.

    Raises:
        ValidationError: OmegaConf's, for what is no number.
    """
    rename_targets(config)
    normalization = OmegaConf.select(config, "data.normalization")
    for key in () if normalization is None else ("mean", "std"):
        if not OmegaConf.is_missing(normalization, key):
            value = normalization[key]
            values = list(value) if OmegaConf.is_list(value) else [value]
            normalization[key] = ListConfig(
                values, key=key, parent=normalization, element_type=float, is_optional=False
            )
    return config


def key_values(items: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """Returns KEY=VALUE arguments as a dict, for entry points that need only some keys of the configuration.

    Raises:
        ConfigError: an argument has another form or another key.
    """
    values = {}
    for item in items:
        key, equals, value = item.partition("=")
        if key not in keys or not equals or not value:
            raise ConfigError(f"arguments must be {' or '.join(f'{key}=VALUE' for key in keys)}. Received: '{item}'.")
        values[key] = value
    return values


def place(values: Mapping[str, str]) -> SimpleNamespace:
    """Returns where runs are, from KEY=VALUE arguments that may have `paths.output_dir` and `tracking.uri`."""
    return SimpleNamespace(
        paths=Paths(output_dir=values.get("paths.output_dir", Paths.output_dir)),
        tracking=Tracking(uri=values.get("tracking.uri")),
    )


def _groups() -> str:
    """Returns a line for each group of conf/ with its options, for `--help`."""
    folder = conf_dir()
    return "\n".join(f"{name}: {', '.join(options(folder, name))}" for name in groups(folder))


def compose(overrides: Sequence[str] = (), *, conf: str | Path | None = None) -> DictConfig:
    """Composes a configuration as the command line does, whatever run `resume=` names (`kerasdl.runs.composing`).

    Args:
        overrides: what would stand on the command line, e.g. `["model=cnn", "seed=1"]`.
        conf: another folder with a `train.yaml`; kerasdl's own by default.

    Returns:
        The typed configuration.

    Raises:
        ConfigError: an unknown key or option, or a wrong type.
    """
    import hydra

    from kerasdl.config.explain import as_config_error

    register()
    folder = Path(conf).resolve() if conf else conf_dir()
    with hydra.initialize_config_dir(str(folder), version_base="1.3"), as_config_error():
        return completed(hydra.compose("train", overrides=for_hydra(overrides, folder)))
