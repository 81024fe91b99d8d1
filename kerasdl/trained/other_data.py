"""Another data set for a trained network: the run's own with keys changed, or one of conf/, if it fits."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from kerasdl.data.info import DataInfo
from kerasdl.errors import ConfigError, DataError


def with_data(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Returns a run's configuration with another data set, or with other keys of its own.

    Args:
        config: the run's; stays as it is.
        overrides: as on the command line: `data=emnist` takes the choice from conf/, `data.batch_size=10` changes what
            there is.

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


def check_fits(info: DataInfo, shape: tuple[int, int, int], class_names: Sequence[str]) -> None:
    """Raises DataError unless images have this shape and classes these names, in this order."""
    if info.image_shape != shape:
        resize = f" Resize them: 'data.image_size=[{shape[0]},{shape[1]}]'." if info.image_shape[2] == shape[2] else ""
        raise DataError(
            f"data: the network takes images of {'x'.join(map(str, shape))}. Received: {info.name} with "
            f"{'x'.join(map(str, info.image_shape))}.{resize}"
        )
    if tuple(info.class_names) != tuple(class_names):
        raise DataError(
            f"data: the network knows the classes {_listed(class_names)}. Received: {info.name} with "
            f"{_listed(info.class_names)}. Take data with the same classes in the same order."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f", ... ({len(names)})" if len(names) > 10 else "")
