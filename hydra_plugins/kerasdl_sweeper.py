"""kerasdl's sweeper, in the namespace where Hydra looks for plugins; the code is in `kerasdl.sweeps.sweeper`."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper


class KerasdlSweeper(Sweeper):
    """Passes a sweep to kerasdl. It is small because Hydra imports this module with every command."""

    def setup(self, *, hydra_context, task_function, config) -> None:
        self._setting = (hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        from kerasdl.sweeps.sweeper import sweep

        # Hydra doesn't pass on a sweep's exit code.
        self._setting[1].codes.append(sweep(*self._setting, arguments))


@dataclass
class KerasdlSweeperConf:
    _target_: str = "hydra_plugins.kerasdl_sweeper.KerasdlSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="kerasdl", node=KerasdlSweeperConf, provider="kerasdl")
