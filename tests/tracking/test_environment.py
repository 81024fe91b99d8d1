"""The machine and its packages, as a run records them; for git, see test_repository.py."""

import sys
from pathlib import Path

import kerasdl
from kerasdl.tracking import environment, repository


def test_the_machine_and_the_packages_are_named():
    tags = environment.tags()
    assert tags["cpu"]
    assert int(tags["cpu_count"]) >= 1
    assert tags["host"]
    assert tags["command"]
    assert tags["mlflow.user"]
    lines = environment.requirements().splitlines()
    assert any(line.startswith("tensorflow==") for line in lines)
    assert lines == sorted(set(lines), key=lambda line: line.partition("==")[0].lower())


def test_the_command_has_no_password(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "kerasdl.train", "tracking.uri=postgresql://u:p'w@rd@h/d"])
    assert environment.tags()["command"].endswith("-m kerasdl.train 'tracking.uri=postgresql://u:***@h/d'")


def test_kerasdl_itself_belongs_to_its_checkout_wherever_the_user_stands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    here = Path(kerasdl.__file__).resolve().parent
    found = repository.repositories()
    if (here.parent / ".git").exists():
        assert [(one.root, one.packages) for one in found] == [(here.parent, ("kerasdl",))]
    else:
        assert found == []
