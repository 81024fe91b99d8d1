"""Shared by the tests of sweeps: command lines as Hydra's multirun reads them, studies, sweeps in processes."""

import shutil

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from kerasdl.config.composition import conf_dir, register
from kerasdl.config.schema import Pruning
from kerasdl.sweeps.grammar import read_space
from kerasdl.sweeps.open_study import create_or_load
from kerasdl.sweeps.samplers import pruner, sampler
from kerasdl.sweeps.storage import address, open_storage
from kerasdl.sweeps.trials import Objective

ACCURACY = Objective("val_accuracy", True)


@pytest.fixture
def make_sweep(tmp_path):
    """Makes sweeps in folders of the test's own, and kills at the end what still runs."""
    from sweeping import Sweep

    sweeps = []

    def make(folder, *overrides, **options):
        sweeps.append(Sweep(tmp_path / folder, overrides, **options))
        return sweeps[-1]

    yield make
    for sweep in sweeps:
        sweep.end()


@pytest.fixture(scope="session")
def composed():
    """Composes as `kerasdl.train -m` does: returns Hydra's loader and the sweep's own configuration."""

    def compose(*overrides, conf=None):
        register()
        with hydra.initialize_config_dir(str(conf or conf_dir()), version_base="1.3"):
            program = GlobalHydra.instance().hydra
            master = program.compose_config("train", [*overrides], RunMode.MULTIRUN, with_log_configuration=False)
            return program.config_loader, master

    return compose


@pytest.fixture(scope="session")
def loader(composed):
    return composed()[0]


@pytest.fixture
def read(loader):
    """Reads a command line, and a configured space, into what a sweep spans."""
    return lambda *typed, space=None, when=None, seed=0: read_space(typed, space or {}, when or {}, loader, seed)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """Optuna's database without a study; tests copy it, because Optuna takes a second to create one."""
    folder = tmp_path_factory.mktemp("optuna")
    open_storage(address(None, folder))
    return folder / "optuna.db"


@pytest.fixture
def database(empty_database, tmp_path):
    """The address of an sqlite storage of the test's own."""
    shutil.copy(empty_database, tmp_path)
    return address(None, tmp_path)


@pytest.fixture(params=["sqlite", "journal"])
def where(request, tmp_path):
    """The address of a storage of the test's own, of each kind that needs no server."""
    return request.getfixturevalue("database") if request.param == "sqlite" else str(tmp_path / "study.journal")


@pytest.fixture
def opened():
    """Opens a study, each time as another process would: through a connection of its own."""

    def open_study(where, objectives=(ACCURACY,), sampled="grid", pruned="none", seed=0, name="study", **pruning):
        settings = Pruning(**pruning)
        return create_or_load(open_storage(where), name, objectives, sampler(sampled, seed), pruner(pruned, settings))

    return open_study
