"""`7steps`, `0.5epochs`, `10minutes`: what is read, what is refused, and the keys that take it."""

import copy
import re

import pytest
import yaml
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.config.cadence import Cadence, cadence
from kerasdl.config.checks import check
from kerasdl.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7steps", Cadence(7, "steps")),
        ("1step", Cadence(1, "steps")),
        ("100 steps", Cadence(100, "steps")),
        (" 2  epochs ", Cadence(2, "epochs")),
        ("1epochs", Cadence(1, "epochs")),
        ("1epoch", Cadence(1, "epochs")),
        ("0.25epochs", Cadence(0.25, "epochs")),
        (".5 epochs", Cadence(0.5, "epochs")),
        ("10minutes", Cadence(10, "minutes")),
        ("0.1minutes", Cadence(0.1, "minutes")),
        ("1 minute", Cadence(1, "minutes")),
        ("5.0steps", Cadence(5, "steps")),
    ],
)
def test_what_a_user_types_is_read(text, expected):
    assert cadence(text, "key") == expected


def test_null_is_never():
    assert cadence(None, "key") is None


@pytest.mark.parametrize(
    "text",
    ["", "steps", "7", 7, 0.5, True, "0steps", "0.0epochs", "-1steps", "+1steps", "1.5steps", "1e3steps", "1.epochs",
     "7 seconds", "7stepss", "7Steps", "1epochs 2steps", "1epochs\n1steps", "nanepochs", "infepochs", "never", [], {},
     "9" * 400 + "epochs"],
    ids=lambda text: repr(text)[:20],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        cadence(text, "trainer.checkpoint.every")
    message = str(caught.value)
    assert message.startswith("trainer.checkpoint.every must be a number > 0 of whole steps or epochs or minutes, with")
    assert f"Received: '{text}'." in message
    assert message.endswith("Example: trainer.checkpoint.every=100steps")


def test_units_can_be_limited():
    assert cadence("3epochs", "key", ("steps", "epochs")) == Cadence(3, "epochs")
    with pytest.raises(ConfigError, match=r"key must be a number > 0 of epochs, with .* Example: key=1epochs$"):
        cadence("3steps", "key", ("epochs",))
    with pytest.raises(
        ConfigError, match=r"of whole steps or epochs, with the unit, or null for never\. Received: '3minutes'\."
    ):
        cadence("3minutes", "key", ("steps", "epochs"))


@pytest.mark.parametrize(
    ("text", "steps"),
    [("7steps", 7), ("1epochs", 41), ("3epochs", 123), ("0.5epochs", 20), ("0.25epochs", 10), ("0.001epochs", 1)],
)
def test_in_steps_of_an_epoch_of_41(text, steps):
    assert cadence(text, "key").steps(41) == steps


def test_minutes_go_by_the_clock():
    assert cadence("2minutes", "key").steps(41) is None


@pytest.fixture(scope="module")
def composed():
    return compose(["data=digits", "model=image_classifier", "tracking=none"])


@pytest.fixture
def config(composed):
    """Sets keys of a configuration that is composed once."""

    def changed(*overrides):
        conf = copy.deepcopy(composed)
        for override in overrides:
            key, _, value = override.partition("=")
            OmegaConf.update(conf, key, yaml.safe_load(value))
        return conf

    return changed


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.checkpoint.every=null", "trainer.checkpoint.best=null", "trainer.checkpoint.keep=1"],
        ["trainer.checkpoint.every=0.5minutes", "trainer.validate_every=0.25epochs"],
        ["trainer.validate_every=null", "data.validation=0"],
        ["trainer.checkpoint.best=val_accuracy", "trainer.validate_every=100steps"],
        ["trainer.checkpoint.best=learning_rate", "trainer.checkpoint.direction=minimize"],
        ["trainer.on_nan=rollback", "trainer.rollback.factor=0.1", "trainer.rollback.limit=1"],
    ],
    ids=" ".join,
)
def test_sound_settings_pass(config, overrides):
    check(config(*overrides))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["trainer.checkpoint.every=often"],
            "trainer.checkpoint.every must be a number > 0 of whole steps or epochs or min",
        ),
        (["trainer.checkpoint.every=0steps"], "trainer.checkpoint.every must be a number > 0 of"),
        (["trainer.checkpoint.every=5"], "Received: '5'. Example: trainer.checkpoint.every=100steps"),
        (
            ["trainer.validate_every=2minutes"],
            "trainer.validate_every must be a number > 0 of whole steps or epochs, with",
        ),
        (["trainer.validate_every=0.5steps"], "Received: '0.5steps'. Example: trainer.validate_every=100steps"),
        (
            ["trainer.validate_every=10steps", "data.validation=0"],
            "trainer.validate_every needs a validation split, but data.validation is 0. Keep some for validation",
        ),
        (["trainer.checkpoint.keep=0"], "trainer.checkpoint.keep must be >= 1. Received: 0."),
        (["trainer.checkpoint.best=val_acc"], "trainer.checkpoint.best: no metric 'val_acc'. Did you mean 'val_acc"),
        (
            ["trainer.checkpoint.best=val_loss", "data.validation=0"],
            "trainer.checkpoint.best is val_loss, but data.validation is 0.",
        ),
        (
            ["trainer.checkpoint.best=learning_rate"],
            "trainer.checkpoint.direction must say whether more or less of learning_rate is better",
        ),
        (["trainer.checkpoint.direction=up"], "trainer.checkpoint.direction must be maximize, minimize or auto. Rec"),
        (["trainer.on_nan=ignore"], "trainer.on_nan must be stop or rollback. Received: ignore."),
        (
            ["trainer.on_nan=rollback", "trainer.checkpoint.every=null"],
            "trainer.on_nan=rollback goes back to a checkpoint, but trainer.checkpoint.every is null. Set it, e.g. ",
        ),
        (["trainer.rollback.factor=1"], "trainer.rollback.factor must be in (0, 1). Received: 1.0."),
        (["trainer.rollback.factor=0"], "trainer.rollback.factor must be in (0, 1). Received: 0.0."),
        (["trainer.rollback.limit=0"], "trainer.rollback.limit must be >= 1. Received: 0."),
    ],
    ids=lambda item: " ".join(item) if isinstance(item, list) else "",
)
def test_a_mistake_is_named_with_its_next_step(config, overrides, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        check(config(*overrides))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
