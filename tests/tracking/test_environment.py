import subprocess

import pytest

from kerasdl.tracking import environment


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    (tmp_path / "file.txt").write_text("one\n")
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def test_a_clean_repository(repository):
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    tags = environment.tags()
    assert tags["mlflow.source.git.commit"] == commit
    assert tags["git.dirty"] == "false"
    assert environment.git_diff() is None


def test_a_changed_repository(repository):
    (repository / "file.txt").write_text("two\n")
    assert environment.tags()["git.dirty"] == "true"
    assert "-one\n+two\n" in environment.git_diff()


def test_a_large_change_is_cut(repository, monkeypatch):
    monkeypatch.setattr(environment, "MAX_DIFF_BYTES", 100)
    (repository / "file.txt").write_text("two\n" * 1000)
    assert len(environment.git_diff()) < 200
    assert "[cut:" in environment.git_diff()


def test_no_repository_and_no_git_are_no_problem(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert "git.dirty" not in environment.tags()
    assert environment.git_diff() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git.dirty" not in environment.tags()
    assert capfd.readouterr() == ("", "")


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
