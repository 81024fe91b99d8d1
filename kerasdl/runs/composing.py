"""Composing a configuration from Python: `kerasdl.compose`."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from kerasdl.config import composition
from kerasdl.config.explain import as_config_error
from kerasdl.config.overrides import groups
from kerasdl.runs.choice import with_saved_configuration


def compose(overrides: Sequence[str] = (), *, conf: str | Path | None = None) -> DictConfig:
    """Composes a configuration as the command line does.

    Args:
        overrides: as on the command line, e.g. `["model=cnn", "seed=1"]`.
        conf: another folder with a `train.yaml`; kerasdl's own by default.

    Returns:
        The typed configuration that `kerasdl.run` takes. With `resume=<run id>` it is that run's.

    Raises:
        ConfigError: an unknown key or option, or a wrong type.
        ResumeError: `resume=<run id>` names a run that isn't on this machine.
    """
    config = composition.compose(overrides, conf=conf)
    with as_config_error():
        return with_saved_configuration(config, overrides, groups(Path(conf or composition.conf_dir())))
