"""What `resume=` means: which run goes on, and which configuration it goes on with."""

import copy
import functools
import os
import re

import pytest
import yaml
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.config.checks import check
from kerasdl.config.identity import config_hash
from kerasdl.errors import ConfigError, ResumeError
from kerasdl.experiment.record import new_folder
from kerasdl.runs import FINISHED, RunFolder, choose, named, unknown_sources


@pytest.fixture(scope="module")
def groups_composed(fast):
    """Composes the small experiment with choices from groups; the same ones once."""
    return functools.cache(lambda *choices: compose([*fast, *choices]))


@pytest.fixture
def config(tmp_path, groups_composed):
    """As the fixture of the same name for all tests, but faster: keys are set without composing again."""

    def composed(*overrides, tracking="none"):
        choices = [override for override in overrides if override.startswith(("callbacks=", "optimizer=", "schedule="))]
        conf = copy.deepcopy(groups_composed(f"tracking={tracking}", *choices))
        conf.paths.output_dir = str(tmp_path / "mlruns")
        for override in overrides:
            if override not in choices:
                key, _, value = override.partition("=")
                OmegaConf.update(conf, key, yaml.safe_load(value))
        return conf

    return composed


@pytest.fixture
def begun(config):
    """Makes the folder of a run of the small experiment, changed by overrides, as it is left behind."""

    def make(*overrides, status="KILLED", tracking="none", **changes):
        conf = config(*overrides, tracking=tracking)
        folder = RunFolder.new(conf.paths.output_dir, OmegaConf.to_container(conf, resolve=True), config_hash(conf))
        folder.create()
        folder.update(status=status, **changes)
        folder.unlock()
        return folder

    return make


@pytest.fixture
def resume_alone(tmp_path):
    """Composes what a user gets who types `resume=<id>` and little else."""
    return lambda *overrides: compose([f"paths.output_dir={tmp_path / 'mlruns'}", *overrides])


def test_never_begins_a_new_run(config, begun):
    begun()
    assert choose(config()) is None


def test_auto_goes_on_with_the_newest_unfinished_run_of_the_same_configuration(config, begun):
    conf = config("resume=auto")
    assert choose(conf) is None
    begun("seed=1")
    begun(status=FINISHED)
    assert choose(conf) is None
    begun(created="2026-01-01T00:00:00.000001")
    newest = begun(created="2026-01-01T00:00:00.000002", status="RUNNING")  # killed by force, as it says nothing else
    begun(created="2026-01-01T00:00:00.000003", status=FINISHED)
    begun("seed=1", created="2026-01-01T00:00:00.000004")
    chosen = choose(conf)
    assert chosen.path == newest.path
    with pytest.raises(ResumeError, match=f"process {os.getpid()} "):
        RunFolder.open(newest.path).lock()  # it is taken
    chosen.unlock()


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED"])
def test_auto_takes_a_run_however_it_ended_before_its_time(config, begun, status):
    folder = begun(status=status)
    chosen = choose(config("resume=auto"))
    assert chosen.path == folder.path
    chosen.unlock()


def test_auto_leaves_runs_of_another_tracking_backend(config, begun):
    begun(tracking="mlflow", run_id="4f2a")
    assert choose(config("resume=auto")) is None


def test_auto_goes_by_what_decides_the_result(config, begun):
    folder = begun()
    chosen = choose(config("resume=auto", "trainer.steps_per_call=3", "trainer.checkpoint.every=7steps"))
    assert chosen.path == folder.path
    chosen.unlock()
    assert choose(config("resume=auto", "trainer.epochs=3")) is None


def test_a_run_that_is_being_worked_on_is_refused(config, begun):
    folder = begun()
    folder.lock()
    for how in ("auto", folder.name):
        with pytest.raises(ResumeError, match=f"run {folder.name} is in use by process {os.getpid()} "):
            choose(config(f"resume={how}"))
    folder.unlock()


def test_by_id_the_run_is_taken(config, begun):
    folder = begun(run_id="abcd1234")
    begun(run_id="ffff5678")
    for run in ("abcd1234", "abcd", folder.name):
        chosen = choose(config(f"resume={run}"))
        assert chosen.path == folder.path, run
        with pytest.raises(ResumeError, match="is in use"):
            RunFolder.open(folder.path).lock()
        chosen.unlock()


def test_an_unknown_run_is_refused(config, begun):
    folder = begun(run_id="abcd1234")
    with pytest.raises(ResumeError, match=r"there is no run ffff under .* Known: abcd1234 \(KILLED\)"):
        choose(config("resume=ffff"))
    folder.lock()  # nothing was taken
    folder.unlock()


def test_another_configuration_is_refused_and_each_difference_named(config, begun):
    folder = begun(run_id="abcd1234")
    with pytest.raises(ResumeError) as caught:
        choose(config("resume=abcd", "seed=3", "model.dropout=0.4", "data.fraction=0.5", "callbacks=early_stopping"))
    message = str(caught.value)
    assert message.startswith("run abcd1234 has another configuration: ")
    for difference in ("seed was 0, is 3", "model.dropout was 0.0, is 0.4", "data.fraction was 1.0, is 0.5",
                       "callbacks.early_stopping was None, is {"):  # fmt: skip
        assert difference in message
    assert message.endswith("Type only resume=abcd to resume it unchanged, or resume=never for a new run.")
    assert "\n" not in message
    folder.lock()  # nothing was taken
    folder.unlock()


def test_of_many_differences_some_are_named_and_the_rest_counted(config, begun):
    begun(run_id="abcd1234")
    with pytest.raises(ResumeError, match=r"; and \d+ more\. Type only resume=abcd") as caught:
        choose(config("resume=abcd", "optimizer=adam", "schedule=cosine"))
    assert str(caught.value).count(" was ") == 5


def test_another_tracking_backend_is_refused(config, begun):
    begun(run_id="abcd1234", tracking="mlflow")
    with pytest.raises(ResumeError, match="tracking was mlflow, is none"):
        choose(config("resume=abcd1234"))


def test_what_does_not_decide_the_result_may_differ(config, begun):
    folder = begun(run_id="abcd1234")
    may = ("trainer.steps_per_call=3", "trainer.checkpoint.every=7steps", "trainer.checkpoint.keep=5",
           "trainer.checkpoint.best=null", "trainer.check_numerics=true", "trainer.profile=[2,4]",
           "tracking.interval=3", "tracking.run_name=again", "tracking.system_metrics=false", "data.manual_dir=/m",
           "paths.cache_dir=/elsewhere")  # fmt: skip
    chosen = choose(config("resume=abcd", *may))
    assert chosen.path == folder.path
    chosen.unlock()


def test_epochs_may_grow_and_not_shrink(config, begun):
    folder = begun("trainer.epochs=3", run_id="abcd1234")
    with pytest.raises(ResumeError, match=r"trainer\.epochs must be at least the 3 of run abcd1234\. Received: 2\."):
        choose(config("resume=abcd", "trainer.epochs=2"))
    for epochs in (3, 4):
        chosen = choose(config("resume=abcd", f"trainer.epochs={epochs}"))
        assert chosen.path == folder.path
        chosen.unlock()


def test_a_finished_run_goes_on_only_if_it_is_prolonged(config, begun):
    folder = begun("trainer.epochs=3", run_id="abcd1234", status=FINISHED)
    with pytest.raises(ResumeError, match=r"abcd1234 is finished, after 3 epochs\. .*trainer\.epochs=6\."):
        choose(config("resume=abcd", "trainer.epochs=3", "tracking.interval=7"))
    chosen = choose(config("resume=abcd", "trainer.epochs=5"))
    assert chosen.path == folder.path
    chosen.unlock()


@pytest.fixture
def begun_trial(config):
    """Makes the folder of a sweep's trial, named after its sweep and its identity, as it is left behind."""

    def make(name, *overrides, status="KILLED", tracking="none"):
        conf = config(*overrides, tracking=tracking)
        values = OmegaConf.to_container(conf, resolve=True)
        folder = RunFolder.new(conf.paths.output_dir, values, config_hash(conf), name)
        folder.create()
        folder.update(status=status)
        folder.unlock()
        return folder

    return make


def test_a_run_of_a_name_goes_on_or_is_begun(config, begun_trial):
    assert named(config(), "rate-0a1b-c2d3") is None
    folder = begun_trial("rate-0a1b-c2d3")
    begun_trial("rate-0a1b-ffff", "seed=1")
    taken = named(config(), "rate-0a1b-c2d3")
    assert (taken.path, taken.path.name) == (folder.path, "rate-0a1b-c2d3")
    with pytest.raises(ResumeError, match=f"is in use by process {os.getpid()} "):
        named(config(), "rate-0a1b-c2d3")
    taken.unlock()
    assert named(config(), "rate-0a1b") is None  # the whole name, or none


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED", "PRUNED"])
def test_a_run_of_a_name_goes_on_however_it_ended_before_its_time(config, begun_trial, status):
    begun_trial("rate-0a1b-c2d3", status=status)
    named(config(), "rate-0a1b-c2d3").unlock()


def test_a_run_of_a_name_must_be_of_the_same_configuration(config, begun_trial):
    folder = begun_trial("rate-0a1b-c2d3", "trainer.epochs=3")
    with pytest.raises(ResumeError, match=r"^run rate-0a1b-c2d3 has another configuration: seed was 0, is 1\."):
        named(config("trainer.epochs=3", "seed=1"), "rate-0a1b-c2d3")
    with pytest.raises(ResumeError, match="tracking was none, is mlflow"):
        named(config("trainer.epochs=3", tracking="mlflow"), "rate-0a1b-c2d3")
    with pytest.raises(ResumeError, match=r"trainer\.epochs must be at least the 3"):
        named(config("trainer.epochs=2"), "rate-0a1b-c2d3")
    folder.lock()  # nothing was taken
    folder.unlock()


def test_a_run_of_a_name_that_is_finished_does_not_go_on(config, begun_trial):
    begun_trial("rate-0a1b-c2d3", status=FINISHED)
    with pytest.raises(ResumeError, match="is finished, after 2 epochs"):
        named(config(), "rate-0a1b-c2d3")


@pytest.fixture
def own(config, tmp_path, monkeypatch):
    """Composes the small experiment with a model of the user's own; the model is edited with `own.write`."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERASDL_TARGETS", "my_nets")

    def composed(*overrides):
        conf = config(*overrides)
        conf.model = OmegaConf.create({"_target_": "my_nets.build"})
        return conf

    composed.write = (tmp_path / "my_nets.py").write_text
    composed.write("def build(width=3): ...\n")
    return composed


def left_behind(conf, **changes):
    folder = new_folder(conf)
    folder.create()
    folder.update(status="KILLED", **changes)
    folder.unlock()
    return folder


def test_a_run_of_changed_code_is_not_gone_on_with(own):
    folder = left_behind(own(), run_id="abcd1234")
    for how in ("auto", "abcd1234"):
        chosen = choose(own(f"resume={how}"))
        assert chosen.path == folder.path
        chosen.unlock()
    own.write("def build(width=4): ...\n")
    assert choose(own("resume=auto")) is None
    with pytest.raises(ResumeError) as caught:
        choose(own("resume=abcd1234"))
    assert str(caught.value) == (
        "the source of my_nets.build has changed since run abcd1234 began, in that module or in one that it imports. "
        "Restore it, or start a new run with resume=never."
    )
    with pytest.raises(ResumeError, match="has another configuration: seed was 0, is 1"):
        choose(own("resume=abcd1234", "seed=1"))
    folder.lock()  # nothing was taken
    folder.unlock()
    own.write("def build(width=3): ...  # as it was\n")
    choose(own("resume=auto")).unlock()


def test_a_run_of_a_version_that_kept_no_source_can_go_on(own):
    folder = left_behind(own(), run_id="abcd1234", sources={})
    assert unknown_sources(folder.record, own()) == ["my_nets.build"]
    choose(own("resume=abcd1234")).unlock()


def plain(conf, *but):
    """The configuration as containers, without some keys."""
    conf = OmegaConf.create(OmegaConf.to_container(conf, resolve=True))
    for key in but:
        OmegaConf.update(conf, key, None)
    return OmegaConf.to_container(conf)


def test_the_id_alone_gives_the_runs_own_configuration(begun, resume_alone):
    folder = begun("model.dropout=0.3", "callbacks=early_stopping", run_id="abcd1234")
    conf = resume_alone("resume=abcd1234")
    assert conf.resume == "abcd1234"
    assert (conf.data.name, conf.model.dropout, list(conf.callbacks)) == ("digits", 0.3, ["early_stopping"])
    assert plain(conf, "resume") == plain(OmegaConf.create(folder.record.config), "resume")
    check(conf)
    chosen = choose(conf)
    assert chosen.path == folder.path
    chosen.unlock()


def test_what_else_is_typed_changes_just_that(begun, resume_alone):
    folder = begun("model.dropout=0.3", run_id="abcd1234")
    conf = resume_alone("resume=abcd1234", "trainer.epochs=4", "+tracking.tags.by=me")
    assert (conf.trainer.epochs, conf.tracking.tags) == (4, {"by": "me"})
    changed = ("resume", "trainer.epochs", "tracking.tags")
    assert plain(conf, *changed) == plain(OmegaConf.create(folder.record.config), *changed)
    chosen = choose(conf)
    chosen.unlock()
    with pytest.raises(ResumeError, match="model.dropout was 0.3, is 0.1"):
        choose(resume_alone("resume=abcd1234", "model.dropout=0.1"))


def test_an_output_directory_that_was_moved_is_the_present_one(begun, tmp_path):
    folder = begun(run_id="abcd1234")
    moved = tmp_path / "moved"
    (tmp_path / "mlruns").rename(moved)
    conf = compose([f"paths.output_dir={moved}", "resume=abcd1234"])
    assert conf.paths.output_dir == str(moved)
    chosen = choose(conf)
    assert chosen.path == moved / "runs" / folder.name
    chosen.unlock()


def test_choices_from_groups_state_a_whole_configuration(begun, resume_alone):
    begun("model.dropout=0.3", run_id="abcd1234")
    conf = resume_alone("resume=abcd1234", "model=cnn")
    assert plain(conf) == plain(compose([f"paths.output_dir={conf.paths.output_dir}", "model=cnn", "resume=abcd1234"]))
    assert conf.data.name == "mnist:3.0.1"
    with pytest.raises(ResumeError, match="run abcd1234 has another configuration: "):
        choose(conf)


def test_settings_of_hydra_do_not_become_part_of_a_run(begun, resume_alone):
    folder = begun(run_id="abcd1234")
    conf = resume_alone("hydra.verbose=true", "resume=abcd1234")
    assert list(conf) == list(folder.record.config)


def test_an_unknown_id_alone_is_refused_while_composing(begun, resume_alone):
    begun(run_id="abcd1234")
    with pytest.raises(ResumeError, match=r"there is no run ffff under .*Known: abcd1234 \(KILLED\)"):
        resume_alone("resume=ffff")


@pytest.mark.parametrize("value", ["abc", "''", "../../../etc", "'4f2a 1'", "4f2a.1", "x"])
def test_what_can_be_no_runs_id_is_a_wrong_configuration(config, resume_alone, begun, value):
    begun(run_id="abcd1234")
    received = value.strip("'")
    for conf in (config(f"resume={value}"), resume_alone(f"resume={value}")):
        message = (
            f"resume must be never, auto, or at least the first 4 characters of a run's id. Received: '{received}'."
        )
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$") as caught:
            check(conf)
        assert caught.value.exit_code == 2


def test_the_command_line_says_so_in_one_line(command, begun, tmp_path):
    begun(run_id="abcd1234")
    place = f"paths.output_dir={tmp_path / 'mlruns'}"
    for resume, code in (("abc", 2), ("ffff", 1)):
        ended = command("train", f"resume={resume}", place)
        assert ended.returncode == code, ended.stderr
        assert re.fullmatch(r"Error: resume.*\n", ended.stderr)
