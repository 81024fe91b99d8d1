"""Trials are composed from the files as they were when the sweep began, whatever happens to the files later."""

import copy
import shutil

import pytest
import yaml
from omegaconf import OmegaConf

from kerasdl.config.composition import conf_dir
from kerasdl.config.identity import config_hash
from kerasdl.errors import ConfigError
from kerasdl.sweeps.composer import Composer

FAST = ("data=digits", "model=image_classifier", "tracking=none")


@pytest.fixture
def conf(tmp_path):
    """A copy of conf/ that a test may edit; its name has a space."""
    return shutil.copytree(conf_dir(), tmp_path / "my conf", ignore=shutil.ignore_patterns("local", "__pycache__"))


@pytest.fixture
def composer(composed, tmp_path):
    def make(*overrides, conf=None):
        return Composer(*composed(*FAST, f"paths.output_dir={tmp_path}/out", *overrides, conf=conf))

    return make


def edit(file, **keys):
    content = yaml.safe_load(file.read_text())
    content.update(keys)
    file.write_text(yaml.safe_dump(content))


def test_what_is_edited_after_the_beginning_changes_nothing(composer, conf, tmp_path):
    composer = composer(conf=conf)
    composer.freeze(tmp_path / "frozen")
    before = composer.compose([*FAST, "optimizer=adam", "seed=3"])
    edit(conf / "optimizer" / "adam.yaml", learning_rate=7.0)
    edit(conf / "base" / "data.yaml", batch_size=1)
    edit(conf / "train.yaml", seed=9)
    shutil.rmtree(conf / "model")
    assert composer.compose([*FAST, "optimizer=adam", "seed=3"]) == before
    assert (before.seed, before.optimizer._target_, before.data.batch_size) == (3, "keras.optimizers.Adam", 64)


def test_what_is_edited_before_the_beginning_counts(composer, conf, tmp_path):
    composer = composer(conf=conf)
    edit(conf / "optimizer" / "adam.yaml", learning_rate=7.0)
    composer.freeze(tmp_path / "frozen")
    assert composer.compose([*FAST, "optimizer=adam"]).optimizer.learning_rate == 7.0


def test_a_sweep_that_is_resumed_uses_the_files_as_they_are_now(composer, conf, tmp_path):
    composer(conf=conf).freeze(tmp_path / "frozen")
    edit(conf / "optimizer" / "adam.yaml", learning_rate=7.0)
    (tmp_path / "frozen" / "left").mkdir()
    again = composer(conf=conf)
    again.freeze(tmp_path / "frozen")
    assert again.compose([*FAST, "optimizer=adam"]).optimizer.learning_rate == 7.0
    assert not (tmp_path / "frozen" / "left").exists()


@pytest.fixture
def own(tmp_path):
    """A folder of the user's own with an optimizer in it."""
    folder = tmp_path / "my own 'müsli'"
    (folder / "optimizer").mkdir(parents=True)
    (folder / "optimizer" / "mine.yaml").write_text("_target_: keras.optimizers.SGD\nlearning_rate: 0.3\n")
    return folder


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_search_path_that_was_typed_is_frozen_too(composer, own, tmp_path, prefix):
    composer = composer(f'hydra.searchpath=["{prefix}{own}"]')
    composer.freeze(tmp_path / "frozen")
    before = composer.compose([*FAST, "optimizer=mine"])
    edit(own / "optimizer" / "mine.yaml", learning_rate=7.0)
    assert composer.compose([*FAST, "optimizer=mine"]) == before
    shutil.rmtree(own)
    assert composer.compose([*FAST, "optimizer=mine"]) == before
    assert before.optimizer.learning_rate == 0.3


def test_a_search_path_of_the_main_file_is_frozen_too(composer, conf, own, tmp_path):
    hydra = yaml.safe_load((conf / "train.yaml").read_text())["hydra"]
    edit(conf / "train.yaml", hydra={**hydra, "searchpath": [str(own)]})
    composer = composer(conf=conf)
    composer.freeze(tmp_path / "frozen")
    shutil.rmtree(own)
    assert composer.compose([*FAST, "optimizer=mine"]).optimizer.learning_rate == 0.3


def test_a_search_path_in_a_package_stays(composer, tmp_path):
    composer = composer("hydra.searchpath=[pkg://hydra.test_utils.configs]")
    composer.freeze(tmp_path / "frozen")
    composer.compose([*FAST])


def test_what_was_composed_for_the_sweep_itself_stays_as_it_is(composed, own, tmp_path):
    found, master = composed(*FAST, f'hydra.searchpath=["{own}"]')
    before = copy.deepcopy(master)
    Composer(found, master).freeze(tmp_path / "frozen")
    assert master == before
    assert master.hydra.searchpath == [str(own)]


def test_a_trial_is_resolved_so_that_nothing_can_change_it_later(composer, monkeypatch, tmp_path):
    monkeypatch.setenv("RATE", "0.25")
    overrides = [*FAST, "optimizer.learning_rate=${oc.env:RATE}", "model.dropout=${optimizer.learning_rate}"]
    trial = composer().compose(overrides)
    monkeypatch.setenv("RATE", "0.5")
    assert trial.model.dropout == trial.optimizer.learning_rate == 0.25
    assert OmegaConf.to_container(trial, resolve=False) == OmegaConf.to_container(trial, resolve=True)


def test_hydras_own_values_can_be_used(composer):
    trial = composer().compose([*FAST, "tracking.run_name=${hydra:job.config_name}"])
    assert trial.tracking.run_name == "train"


def test_a_trial_does_not_depend_on_how_it_was_found(composer):
    alone = composer().compose([*FAST, "seed=1"])
    found = composer("sweep=tpe").compose([*FAST, "seed=1", "sweep=tpe", "sweep.jobs=2", "sweep.name=mine"])
    assert found == alone
    assert found.sweep is None
    assert "hydra" not in found
    assert config_hash(found) == config_hash(alone)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.learning_rate=-1", r"^optimizer\.learning_rate must be > 0\. Received: -1\.0\."),
        ("data.batch_size=many", r"^data\.batch_size must be an integer\. Received: many\."),
        ("model=cnnn", r"^model=cnnn: there is no such option\. Did you mean 'cnn'\?"),
        ("optimizer.learning_rat=1", r"learning_rat.* Did you mean"),
        ("optimizer.learning_rate=${no.such}", r"no\.such"),
    ],
)
def test_what_cannot_work_is_a_configuration_error(composer, override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        composer().compose([*FAST, override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=3"],
        ["optimizer.learning_rate=0.5", "optimizer=adam"],
        ["optimizer=adam", "optimizer.learning_rate=0.5", "seed=1", "optimizer.learning_rate=0.25"],
        ["model.filters=[4,8]", "trainer.threads=null", "+tracking.tags.kind=a", "tracking.tags.kind=b"],
        ["callbacks=[early_stopping]", "callbacks.early_stopping.patience=7"],
        ["experiment=mnist_cnn", "optimizer.momentum=0.25", "data.batch_size=8"],
    ],
    ids=" ".join,
)
def test_what_is_composed_once_and_changed_is_what_hydra_composes(composed, overrides, tmp_path):
    loader, master = composed(*FAST, f"paths.output_dir={tmp_path}/out")
    composer, whole = Composer(loader, master), [*FAST, *overrides]
    for _ in range(2):  # the second time from what the first has left
        expected, found = (
            {key: value for key, value in OmegaConf.to_container(config).items() if key != "hydra"}
            for config in (loader.load_sweep_config(master, whole), composer._composed(whole))
        )
        assert found == expected


def test_a_group_that_only_the_search_path_has_is_a_group(composer, tmp_path):
    group = tmp_path / "own" / "extra"
    group.mkdir(parents=True)
    (group / "small.yaml").write_text("# @package _global_\nmodel:\n  dense_units: 7\n")
    composer = composer(f"hydra.searchpath=[{tmp_path / 'own'}]")
    assert composer.compose([*FAST, "+extra=small", "model.dropout=0.1"]).model.dense_units == 7
    composer.freeze(tmp_path / "frozen")
    assert composer.compose([*FAST, "+extra=small", "seed=1"]).model.dense_units == 7
