"""Overrides as people type them: null for a group, and names that look like numbers."""

import re

import pytest

from kerasdl import compose
from kerasdl.config.composition import conf_dir
from kerasdl.config.overrides import flags_first, for_hydra
from kerasdl.errors import ConfigError, ResumeError

OPTIONAL = ("callbacks", "debug", "experiment")
REQUIRED = ("data", "model", "optimizer", "schedule", "sweep", "task", "tracking", "trainer")


@pytest.mark.parametrize("group", OPTIONAL)
@pytest.mark.parametrize("null", ["null", "NULL", "[null]", " null"])
def test_null_chooses_nothing_from_a_group_that_may_be_left_out(group, null):
    assert compose([f"{group}={null}"]) == compose()


@pytest.mark.parametrize("group", REQUIRED)
def test_null_for_a_group_that_must_have_a_choice_is_one_line_with_its_options(group):
    with pytest.raises(ConfigError, match=rf"^{group} must be one of .*\. Received: null\.$") as caught:
        compose([f"{group}=null"])
    assert "\n" not in str(caught.value)


def test_null_among_others_is_left_out_and_of_two_choices_the_last_counts():
    assert compose(["callbacks=[early_stopping,null]"]) == compose(["callbacks=[early_stopping]"])
    assert compose(["experiment=mnist_cnn_tuned", "experiment=null"]) == compose()
    assert compose(["debug=null", "debug=overfit"]) == compose(["debug=overfit"])


def test_a_recipe_that_this_machine_chooses_can_be_left_out(tmp_path):
    """What conf/local says is a default like any other."""
    import shutil

    folder = shutil.copytree(conf_dir(), tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (folder / "local").mkdir()
    (folder / "local" / "default.yaml").write_text("# @package _global_\ntrainer:\n  threads: 2\n")
    assert compose(conf=folder).trainer.threads == 2
    assert compose(["local=null"], conf=folder) == compose()


def test_null_for_a_group_of_hydras_own_is_one_line():
    with pytest.raises(ConfigError, match="must be the name of an option"):
        compose(["hydra/launcher=null"])


def test_names_that_look_like_numbers_are_names():
    assert compose(["debug=nan"]) == compose(["debug='nan'"]) == compose(["debug=[nan]"])
    with pytest.raises(ConfigError, match=re.escape("model=3: there is no such option. Known: autoencoder, cnn")):
        compose(["model=3"])


@pytest.mark.parametrize("run", ["00123456", "12e45678"])
def test_a_runs_id_that_looks_like_a_number_is_an_id(run, tmp_path):
    with pytest.raises(ResumeError, match=f"there is no run {run} under"):
        compose([f"resume={run}", f"paths.output_dir={tmp_path}"])


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ("model=cnn -m seed=0,1", "-m model=cnn seed=0,1"),
        ("seed=1 --cfg job --config-dir a=b model=x --resolve", "--cfg job --config-dir a=b --resolve seed=1 model=x"),
        ("seed=1 --info model=cnn", "--info=all seed=1 model=cnn"),
        ("seed=1 -i config model=cnn", "--info=config seed=1 model=cnn"),
        ("seed=1 --config-dir=lr=1 ~debug", "--config-dir=lr=1 seed=1 ~debug"),
        ("seed=1 --unknown model=cnn --cfg", "--unknown --cfg seed=1 model=cnn"),
        ("", ""),
    ],
)  # fmt: skip
def test_flags_may_stand_among_overrides(typed, taken):
    assert flags_first(typed.split()) == taken.split()


def test_everything_else_stays_as_it_is_typed():
    words = ["-m", "--config-dir", "a=b", "seed=0,1", "debug=one_batch,null", "model=glob(*)", "~debug", "x", "+y=null",
             "data.test_split=null", "model='cnn'", "callbacks=[early_stopping]", "model=[", "debug"]  # fmt: skip
    assert for_hydra(words, conf_dir()) == words
