"""Public names stay, wherever code lies; what had another name is read under its public one, with the same identity."""

import copy
import importlib

import pytest
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.config.checks import check
from kerasdl.config.composition import conf_dir
from kerasdl.config.identity import config_hash, deciding, differences
from kerasdl.config.instantiate import instantiate
from kerasdl.config.renames import RENAMES, location, rename_targets, with_former_names, with_public_names
from kerasdl.config.schema import CHOICES
from kerasdl.errors import ConfigError
from kerasdl.report.seeds import _configuration
from kerasdl.tracking.limits import flatten

OPTIONS = {
    "kerasdl.callbacks.best_model": "callbacks=best_model",
    **{name: f"{name.split('.')[1][:-1]}={name.split('.')[2]}" for name in RENAMES.values() if "callbacks" not in name},
}
# As the first versions computed them, from configurations with the former names.
FORMER_HASHES = {
    "model=image_classifier data=digits": "18ce9b7f10b20494",
    "model=layers optimizer=adamw schedule=cosine callbacks=[best_model]": "ffbd1dc598f2dd5c",
    "schedule=step callbacks=[best_model]": "6845507443335a57",
    "schedule=exponential": "10f85159763cd300",
}


def test_every_name_of_the_files_is_public():
    known = {kind._target_ for base in CHOICES.values() for kind in base.__subclasses__()}
    # All kinds of data have the same keys, so that no type of a node tells them apart.
    known |= {"kerasdl.callbacks.best_model", "kerasdl.data.tfds", "kerasdl.data.sklearn_table"}
    for file in conf_dir().glob("*/*.yaml"):
        for line in file.read_text().splitlines():
            if "_target_: kerasdl." in line:
                name = line.partition("_target_: ")[2].partition("#")[0].strip()
                assert name not in RENAMES, file
                assert name in known, file
                module, attribute = location(name)
                assert callable(getattr(importlib.import_module(module), attribute)), file


@pytest.mark.parametrize("public", sorted({*RENAMES.values()}))
def test_a_public_name_is_where_the_table_says(public):
    module, name = location(public)
    found = getattr(importlib.import_module(module), name)
    assert callable(found)
    assert found.__module__ == module


@pytest.mark.parametrize(("former", "public"), RENAMES.items())
def test_a_former_name_is_read_as_the_public_one(former, public):
    config = compose([OPTIONS[public]])
    key = "callbacks.best_model" if "callbacks" in public else OPTIONS[public].partition("=")[0]
    assert OmegaConf.select(config, f"{key}._target_") == public
    typed = compose([OPTIONS[public], f"{key}._target_={former}"])
    assert typed == config
    saved = OmegaConf.create(with_former_names(OmegaConf.to_container(config)))
    assert OmegaConf.select(saved, f"{key}._target_") == former
    check(saved)
    assert config_hash(saved) == config_hash(config)
    assert list(differences(deciding(saved), deciding(config))) == []
    rename_targets(saved)
    assert saved == config


@pytest.mark.parametrize(("overrides", "expected"), FORMER_HASHES.items())
def test_the_identity_is_that_of_the_former_names(overrides, expected):
    config = compose(overrides.split())
    former = OmegaConf.create(with_former_names(OmegaConf.to_container(config, resolve=True)))
    assert "kerasdl.tasks" not in OmegaConf.to_yaml(former)
    assert config_hash(former) == config_hash(config) == expected


def test_a_file_of_ones_own_with_a_former_name_keeps_its_type_and_its_identity(tmp_path):
    (tmp_path / "schedule").mkdir()
    own = "_target_: kerasdl.training.schedules.Cosine\nunit: epochs\nwarmup: 0.0\nlength: null\nfinal: 2\n"
    (tmp_path / "schedule" / "mine.yaml").write_text(own)
    config = compose([f"hydra.searchpath=[{tmp_path}]", "schedule=mine"])
    with pytest.raises(ConfigError, match=r"^schedule\.final must be in \[0, 1\]\. Received: 2\.$"):
        check(config)
    config.schedule.final = 0.0
    check(config)
    assert config_hash(config) == config_hash(compose(["schedule=cosine"]))


def test_runs_of_both_names_are_seeds_of_the_same_configuration():
    now = OmegaConf.to_container(compose(["callbacks=best_model"]), resolve=True)
    before = with_former_names(now)
    assert flatten(before)["model._target_"] == "kerasdl.models.cnn.build"
    assert _configuration(flatten(before)) == _configuration(flatten(now))


def test_objects_are_built_by_either_name():
    sizes = {"steps_per_epoch": 10, "total_steps": 100}
    built = [
        instantiate({"_target_": name, "final": 0.5}, "schedule", **sizes)
        for name in ("kerasdl.schedules.cosine", "kerasdl.training.schedules.Cosine")
    ]
    assert {type(schedule).__name__ for schedule in built} == {"Cosine"}


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("model", "kerasdl.models.seeding"),  # a module without a network
        ("model", "kerasdl.models.cnm"),
        ("model", "kerasdl.tasks.classification"),  # of another place
        ("model", "kerasdl.models.cnn.keras.Model"),
        ("model", "kerasdl.models.Cnn"),
        ("schedule", "kerasdl.schedules.any"),  # what a module imports
        ("schedule", "kerasdl.schedules.Cosine"),
        ("schedule", "kerasdl.training.schedules.Schedule"),
        ("callbacks.x", "kerasdl.callbacks.iterable"),
        ("callbacks.x", "kerasdl.training.callbacks.hooks_batches"),
        ("task", "kerasdl.tasks.os.system"),
        ("task", "kerasdl.tasks."),
        ("task", "kerasdl.training.classification.keras"),
    ],
)
def test_nothing_else_of_kerasdl_can_be_named(place, target):
    with pytest.raises(ConfigError, match="must name a class or function of|there is no"):
        instantiate({"_target_": target}, place)


def test_a_misspelt_public_name_is_answered_with_the_nearest():
    for target, near in {"models.cnm": "models.cnn", "schedules.cosin": "schedules.cosine"}.items():
        with pytest.raises(ConfigError, match=rf"there is no kerasdl\.{target}\. Did you mean 'kerasdl\.{near}'\?$"):
            instantiate({"_target_": f"kerasdl.{target}"}, target.split("s.")[0])


def test_translation_leaves_everything_else_as_it_is():
    former, public = "kerasdl.models.cnn.build", "kerasdl.models.cnn"
    tree = {"a": [{"_target_": former, "x": former}], "_target_": None, "b": 1}
    before = copy.deepcopy(tree)
    there = with_public_names(tree)
    assert there == {"a": [{"_target_": public, "x": former}], "_target_": None, "b": 1}
    assert with_former_names(there) == tree == before
