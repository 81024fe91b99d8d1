"""What decides a result has one hash, which later versions keep."""

from dataclasses import dataclass, field

import pytest
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.config import optimizers, schema
from kerasdl.config.identity import config_hash, deciding, deciding_part, without_additions
from kerasdl.config.keys import added
from kerasdl.tracking.limits import flatten

# As the first versions computed them: whoever changes one of these loses all runs and sweeps that were made before.
KEPT = {
    (): "0afa0b7ac572659b",
    ("trainer.checkpoint.every=7steps", "trainer.adversarial.steps=3"): "0afa0b7ac572659b",
    ("experiment=mnist_cnn_robust",): "d4f1e82a6cc013ed",
    ("experiment=mnist_cnn_tuned",): "e16f092477960b16",
    ("experiment=cifar10_image_classifier",): "9f476524538d38a4",
    ("model=image_classifier", "data=digits"): "18ce9b7f10b20494",
    (
        "model=layers",
        "optimizer=adamw",
        "schedule=cosine",
        "callbacks=[early_stopping,tensorboard]",
    ): "16c4364b047e172e",
    ("data.normalization.mean=[0.5]", "seed=3"): "fcb5fa33fd67d22d",
}


@pytest.mark.parametrize(("overrides", "expected"), KEPT.items(), ids=lambda item: " ".join(item) or "default")
def test_a_configuration_has_the_hash_that_it_had_in_earlier_versions(overrides, expected):
    assert config_hash(compose(overrides)) == expected


@dataclass
class Part:
    rate: float = 0.0
    kind: str = "plain"
    sizes: list[int] = field(default_factory=lambda: [1, 2])


@dataclass
class Inner:
    old: int = 1
    new: int | None = added(None)


@dataclass
class Node:
    old: int = 3
    number: int = added(3)
    flag: bool = added(False)
    text: str = added("auto")
    numbers: list[int] = added([28, 28])
    part: Part = added(Part)
    switched: Part = added(Part, switch="rate")
    inner: Inner = field(default_factory=Inner)


def containers(**changes):
    return OmegaConf.to_container(OmegaConf.structured(Node(**changes)))


def texts(tree):
    """Returns plain containers with every value as the text that MLflow keeps of it."""
    return {key: texts(value) if isinstance(value, dict) else flatten({key: value})[key] for key, value in tree.items()}


@pytest.mark.parametrize("form", [lambda tree: tree, texts], ids=["values", "texts"])
def test_a_key_that_was_added_later_is_left_out_while_it_has_its_default(form):
    before = form({"old": 3, "inner": {"old": 1}})
    assert without_additions(form(containers()), Node) == before
    assert without_additions(before, Node) == before  # as earlier versions kept it
    for change in ({"number": 4}, {"flag": True}, {"text": "none"}, {"numbers": [28]}, {"part": Part(kind="other")},
                   {"part": Part(sizes=[1])}, {"switched": Part(rate=0.5)}, {"inner": Inner(new=0)}):  # fmt: skip
        kept = without_additions(form(containers(**change)), Node)
        assert kept != before, change
        assert set(kept) == {"old", "inner", *change}
    off = without_additions(form(containers(switched=Part(kind="other", sizes=[]))), Node)
    assert off == before  # its switch is off, so the others mean nothing


def test_what_looks_like_the_default_and_is_not_stays():
    assert "number" in without_additions({"number": True, "old": 1}, Node)
    assert "flag" in without_additions({"flag": 0}, Node)
    assert "number" in without_additions({"number": "three"}, Node)


@pytest.mark.parametrize(
    ("group", "kind"), [("trainer", schema.Trainer), ("optimizer", optimizers.SGD), ("model", schema.Cnn)]
)
def test_added_keys_are_found_in_every_group_by_its_type(monkeypatch, group, kind):
    """In `optimizer` and `model` the target says which type that is."""
    with_added = {**kind.__dataclass_fields__, "number": Node.__dataclass_fields__["number"]}
    config = OmegaConf.to_container(compose(), resolve=True)
    before = deciding_part(config)
    config[group]["number"] = 3
    assert deciding_part(config) != before
    monkeypatch.setattr(kind, "__dataclass_fields__", with_added)
    assert deciding_part(config) == before
    config[group]["number"] = 4
    assert deciding_part(config) != before


def test_with_rollback_the_checkpoints_to_go_back_to_decide():
    base = config_hash(compose(["trainer.on_nan=rollback"]))
    for override in ("every=7steps", "keep=1", "best=null"):
        assert config_hash(compose(["trainer.on_nan=rollback", f"trainer.checkpoint.{override}"])) != base, override
        assert config_hash(compose([f"trainer.checkpoint.{override}"])) == KEPT[()], override
    assert "trainer.checkpoint.every" in flatten(deciding(compose(["trainer.on_nan=rollback"])))
