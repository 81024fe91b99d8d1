"""What the terminal shows of an experiment before it begins."""

from types import SimpleNamespace

import keras
import pytest
from omegaconf import OmegaConf

from kerasdl.experiment import terminal

SGD = {"_target_": "keras.optimizers.SGD", "learning_rate": 0.1, "momentum": 0.5}
ADAM = {"_target_": "keras.optimizers.Adam", "learning_rate": 0.002}


@pytest.fixture
def announced(tmp_path, capsys):
    """Announces an experiment with two optimizers by role, and returns the row on them."""

    def announce(optimizer):
        config = {"optimizer": optimizer, "model": {}, "data": {"batch_size": 64}}
        config |= {"schedule": {"_target_": "kerasdl.schedules.constant"}, "trainer": {"precision": "float32"}}
        rates = {"generator": 0.1, "discriminator": 0.002}
        optimizers = {role: keras.optimizers.SGD(rate) for role, rate in rates.items()}
        terminal.announce(
            SimpleNamespace(
                config=OmegaConf.create(config),
                task=SimpleNamespace(networks={}, optimizers=optimizers),
                runtime=SimpleNamespace(jit=False, name="CPU"),
                parameters=0,
                data=SimpleNamespace(describe=lambda: "digits"),
                tracker=SimpleNamespace(describe=lambda: "none"),
                folder=SimpleNamespace(path=tmp_path),
            )
        )
        return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("optimizer"))

    return announce


def test_one_optimizer_of_all_networks_is_shown_once(announced):
    assert announced(SGD) == "optimizer  SGD, learning rate 0.1 (constant), momentum 0.5, batch 64"


@pytest.mark.parametrize("whole", [{"generator": SGD}, SGD], ids=["by role only", "a whole one and one by role"])
def test_each_roles_optimizer_is_shown(announced, whole):
    assert announced({**whole, "discriminator": ADAM}) == (
        "optimizer  generator: SGD, learning rate 0.1 (constant), momentum 0.5; "
        "discriminator: Adam, learning rate 0.002 (constant); batch 64"
    )
