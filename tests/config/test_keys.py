"""What a key may be stands with its declaration, and is checked wherever the node came from."""

import math

import pytest
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.config.checks import check
from kerasdl.config.keys import Allowed
from kerasdl.errors import ConfigError


@pytest.mark.parametrize(
    ("allowed", "text", "inside", "outside"),
    [
        (Allowed(at_least=1), ">= 1", [1, 10**9, 1.5], [0, -1, math.inf, math.nan, True, "1", None, [1]]),
        (Allowed(above=0), "> 0", [1e-9, 3], [0, -0.0, math.inf]),
        (Allowed(at_least=0, below=1), "in [0, 1)", [0, 0.5], [1, 1.0, -1e-9, math.nan]),
        (Allowed(above=0, at_most=1), "in (0, 1]", [1, 1e-9], [0, 1.1]),
        (Allowed(choices=("a", "b", "c")), "a, b or c", ["a", "c"], ["d", "", None, 0]),
        (Allowed(choices=("auto", True, False)), "auto, true or false", ["auto", True, False], ["true", None, 2]),
        (Allowed(choices=("auto",), at_least=1, whole=True), "auto or an integer >= 1", ["auto", 1], [0, 1.5, None]),
    ],
    ids=str,
)
def test_what_is_allowed_and_how_it_is_said(allowed, text, inside, outside):
    assert str(allowed) == text
    assert [value for value in inside if not allowed.has(value)] == []
    assert [value for value in outside if allowed.has(value)] == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("trainer.epochs", 0, "trainer.epochs must be >= 1. Received: 0."),
        ("trainer.epochs", None, "trainer.epochs must be >= 1. Received: null."),
        ("trainer.checkpoint.keep", 0, "trainer.checkpoint.keep must be >= 1. Received: 0."),
        ("trainer.jit", None, "trainer.jit must be auto, true or false. Received: null."),
        ("model.dropout", 1, "model.dropout must be in [0, 1). Received: 1."),
        ("model.kernel_sizes", [5, 0], "model.kernel_sizes must be >= 1. Received: 0."),
        ("optimizer.momentum", True, "optimizer.momentum must be in [0, 1). Received: true."),
        ("schedule.unit", "days", "schedule.unit must be steps or epochs. Received: days."),
        ("tracking.interval", 0, "tracking.interval must be >= 1. Received: 0."),
        ("sweep.jobs", 0, "sweep.jobs must be >= 1. Received: 0."),
        ("sweep.pruning.percentile", 100, "sweep.pruning.percentile must be in (0, 100). Received: 100."),
        ("seed", -1, "seed must be >= 0. Received: -1."),
    ],
)
def test_a_configuration_that_hydra_has_not_typed_is_checked_by_the_same_declarations(key, value, message):
    """That of a saved run is one."""
    config = OmegaConf.create(OmegaConf.to_container(compose()))
    check(config)
    OmegaConf.update(config, key, value, merge=False)
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert str(caught.value) == message


def test_null_is_allowed_where_the_type_says_so_and_keys_may_be_missing_that_an_earlier_version_lacked():
    config = OmegaConf.create(OmegaConf.to_container(compose(["trainer.threads=null", "optimizer.clipnorm=null"])))
    del config.trainer["adversarial"]
    del config.trainer.checkpoint["direction"]
    check(config)


def test_the_keys_of_a_node_of_ones_own_are_ones_own(tmp_path, monkeypatch):
    (tmp_path / "my_network.py").write_text("def build(input_shape, classes, *, dropout): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERASDL_TARGETS", "my_network")
    config = compose()
    config.model = OmegaConf.create({"_target_": "my_network.build", "dropout": "much", "filters": [0], "style": None})
    check(config)
    typed = compose(["model._target_=my_network.build"])  # it took the keys of cnn for its own
    typed.model.dropout = 1.5
    with pytest.raises(ConfigError, match=r"^model\.dropout must be in \[0, 1\)\. Received: 1\.5\.$"):
        check(typed)
