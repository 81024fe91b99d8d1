"""The command that repeats a run: whatever was composed, a command is found that composes to the same."""

import shlex

import pytest
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.config.identity import config_hash, source_digests
from kerasdl.report.run_page import reproduction
from kerasdl.report.run_page.reproduction import reproduce, typed_overrides


def saved(*overrides):
    """Returns a configuration as a run keeps it, and its hash."""
    config = compose(overrides)
    return OmegaConf.create(OmegaConf.to_yaml(config, resolve=True)), config_hash(config)


def overrides_of(command):
    assert command is not None
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "kerasdl.train"]
    return words[3:]


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=mnist_cnn_tuned"],
        ["model=layers", "callbacks=[tensorboard]", "+callbacks.mine={_target_:keras.callbacks.TerminateOnNaN}"],
        [
            "data=tfds",
            "data.name=oxford_flowers102:2.1.1",
            "data.image_size=[64,64]",
            "data.train_split='train[:80%]'",
            "data.memory_budget='1.5GB'",
            "task.class_weights={0:1.0,1:2.5}",
            "optimizer=adamw",
            "optimizer.weight_decay=1e-7",
            "schedule=cosine",
            "model.kernel_regularizer={_target_:keras.regularizers.L2,l2:1e-5}",
            "callbacks=[early_stopping,best_model]",
            "callbacks.early_stopping.patience=9",
            "trainer.threads=1",
        ],
    ],
)
def test_a_configuration_is_composed_again(overrides):
    config, identity = saved(*overrides)
    found = reproduce(config, identity)
    assert not found.as_typed
    assert config_hash(compose(overrides_of(found.command))) == identity


def test_what_was_typed_is_preferred_without_what_belongs_to_that_run_only():
    config, identity = saved("data=digits", "data.image_size=[28,28]")
    typed = "/opt/x/bin/python3.12 -m kerasdl.train data=digits 'data.image_size=[28,28]' resume=auto"
    found = reproduce(config, identity, typed)
    assert found.as_typed
    assert found.command == "python -m kerasdl.train data=digits 'data.image_size=[28,28]'"


def test_what_was_typed_is_not_believed_unless_it_gives_the_configuration():
    where = ("tracking.experiment=mine", "data.data_dir=/data", "paths.output_dir=/runs")  # decides nothing
    config, identity = saved("data=digits", "trainer.epochs=20", *where)  # it was prolonged later
    found = reproduce(config, identity, "python -m kerasdl.train data=digits trainer.epochs=10")
    assert not found.as_typed
    assert found.command == (
        "python -m kerasdl.train model=cnn data=digits task=classification optimizer=sgd schedule=constant "
        "trainer.epochs=20"
    )
    assert found.defaults == {"data.data_dir": "null", "trainer.epochs": "10", "tracking.experiment": "kerasdl"}


@pytest.mark.parametrize(
    ("typed", "overrides"),
    [
        ("/usr/bin/kerasdl-train model=cnn seed=1", ["model=cnn", "seed=1"]),
        ("python3.12 /usr/bin/kerasdl-train model=cnn seed=1", ["model=cnn", "seed=1"]),
        ("python3.12 /usr/bin/kerasdl train model=cnn seed=1", ["model=cnn", "seed=1"]),
        ("python3 -m kerasdl train model=cnn seed=1", ["model=cnn", "seed=1"]),
        ("python3 -m kerasdl evaluate run=last", None),
        ("python3 -m kerasdl.train resume=auto hydra.verbose=true seed=1", ["seed=1"]),
        ("python -m kerasdl.train", []),
        ("python -m kerasdl.train -m seed=0,1", None),
        ("python -m kerasdl.train --config-dir mine seed=1", None),
        ("python -m kerasdl.train seed=1; rm -rf /", None),
        ("python -m kerasdl.train 'seed=1", None),
        ("python -m kerasdl.evaluate run=last", None),
        ("python notebook.py seed=1", None),
        ("", None),
    ],
)
def test_a_command_line_is_read_as_overrides_or_not_at_all(typed, overrides):
    assert typed_overrides(typed) == overrides


def test_a_network_of_somebody_elses_says_what_its_command_needs():
    config, _ = saved("data=digits")
    config.model._target_ = "their_package.build"
    sources = {"model": "0123456789abcdef"}
    found = reproduce(config, config_hash(config, sources), sources=sources)
    assert config_hash(compose(overrides_of(found.command)), sources) == config_hash(config, sources)
    assert found.note == (
        "It needs KERASDL_TARGETS=their_package in the environment. That code isn't on the machine that wrote this "
        "page: model._target_: there is no module their_package. Install its package, or set PYTHONPATH to the folder "
        "that holds it."
    )


def test_code_that_has_changed_since_is_said(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_nets.py").write_text("def build(): ...")
    config, identity = saved("data=digits", "model._target_=my_nets.build")
    sources = source_digests(config)
    needed = "It needs KERASDL_TARGETS=my_nets in the environment."
    found = reproduce(config, identity, sources=sources)
    assert (found.command is None, found.note) == (False, needed)
    (tmp_path / "my_nets.py").write_text("def build(): return 1")
    changed = reproduce(config, identity, sources=sources)
    assert changed.command == found.command
    assert changed.note == (
        f"{needed} The source of my_nets.build on the machine that wrote this page isn't that of the run: with it the "
        "command gives another result."
    )
    unknown = reproduce(config, config_hash(config, {}))  # of a version that kept no source
    assert unknown.note == f"{needed} The run doesn't know what the source of my_nets.build was."


def test_without_a_command_it_is_said_what_differs():
    config, _ = saved("data=digits")
    found = reproduce(config, "0123456789abcdef")
    assert (found.command, found.note) == (
        None, "The run's configuration hash is that of another version of kerasdl."
    )  # fmt: skip
    config.model.dropout = "much"  # as another version may have allowed it
    found = reproduce(config, config_hash(config))
    assert found.command is None
    assert found.note == "The nearest that was found is refused: model.dropout must be a number. Received: much."


def test_of_many_differences_some_are_named(monkeypatch):
    config, identity = saved("data=digits", "seed=3", "model.dropout=0.25")
    monkeypatch.setattr(reproduction, "_override", lambda key, old, new: f"{key}={old}")  # as if it could not be typed
    found = reproduce(config, identity)
    assert found.command is None
    assert found.note == "The nearest that was found differs: model.dropout is 0.5, not 0.25; seed is 0, not 3."
