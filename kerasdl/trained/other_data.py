"""Another data set for a trained network: the run's own with keys changed, or one of conf/, if it fits."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from kerasdl.data.source import DataInfo
from kerasdl.errors import ConfigError, DataError
from kerasdl.models.signature import Signature


def with_data(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Returns a run's configuration with another data set, or with keys of its own changed.

    Args:
        config: the run's; it isn't changed.
        overrides: as on the command line: `data=emnist` chooses from conf/, `data.batch_size=10` changes a key.

    Raises:
        ConfigError: an unknown key or choice, or a value that doesn't fit.
    """
    if not overrides:
        return config
    from omegaconf.errors import OmegaConfBaseException

    from kerasdl.config.checks import check
    from kerasdl.config.composition import compose
    from kerasdl.config.schema import Data

    changed = config.copy()
    if any(override.startswith("data=") for override in overrides):
        changed.data = compose(list(overrides)).data
        return changed
    keys = [override.removeprefix("data.") for override in overrides]
    try:
        changed.data = OmegaConf.merge(OmegaConf.structured(Data), config.data, OmegaConf.from_dotlist(keys))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{' '.join(overrides)}: {str(error).splitlines()[0]}") from error
    check(changed)
    return changed


def check_fits(info: DataInfo, signature: Signature) -> None:
    """Raises DataError unless the data has the inputs that a model takes, and the same classes in the same order."""
    for name, wanted in signature.inputs.items():
        found = info.features.inputs.get(name)
        if found is None or found.shape != wanted.shape:
            resize = ""
            if found and found.kind == wanted.kind == "image" and found.shape[2] == wanted.shape[2]:
                resize = f" Resize them: 'data.image_size=[{wanted.shape[0]},{wanted.shape[1]}]'."
            received = f"{info.name} with {found.describe()}" if found else f"{info.name} without it"
            what = "images of" if wanted.kind == "image" else f"{name},"
            raise DataError(f"data: the network takes {what} {wanted.describe()}. Received: {received}.{resize}")
    known = {tuple(feature.names) for feature in info.features.targets.values() if feature.kind == "label"}
    if signature.gives("label") and known != {signature.class_names}:
        raise DataError(
            f"data: the network knows the classes {_listed(signature.class_names)}. Received: {info.name} with "
            f"{_listed(next(iter(known), ())) or 'none'}. Use data with the same classes in the same order."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f", ... ({len(names)})" if len(names) > 10 else "")
