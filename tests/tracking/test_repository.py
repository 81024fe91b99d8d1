"""The repositories that a run records: those of the code in use, never one that only has the working directory."""

import subprocess
import sys

import pytest

from kerasdl.tracking import environment, repository


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def committed(folder):
    """Makes a repository of a folder and everything in it."""
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def no_checkout(monkeypatch):
    """Treats kerasdl as installed: otherwise its own checkout would be among the results."""
    places = repository._places
    monkeypatch.setattr(repository, "_places", lambda package: () if package == "kerasdl" else places(package))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a package of the user's own, `own_networks`, in a repository `code`; it is in use."""
    folder = tmp_path / "code" / "own_networks"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("one\n")
    (tmp_path / "code" / "notes.txt").write_text("one\n")
    committed(tmp_path / "code")
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.setenv("KERASDL_TARGETS", "own_networks.models, no_such_package")
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A repository with private work, which is the working directory."""
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "diary.txt").write_text("one\n")
    committed(folder)
    (folder / "diary.txt").write_text("dear diary\n")
    monkeypatch.chdir(folder)
    return folder


def test_where_the_user_stands_is_nobodys_business(elsewhere, monkeypatch):
    assert not [tag for tag in environment.tags() if "git" in tag]
    assert environment.git_diffs() == {}
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(elsewhere))
    assert environment.git_diffs() == {}


def test_a_users_package_is_recorded_from_any_working_directory(package, elsewhere, monkeypatch):
    commit = git(package, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    tags = environment.tags()
    assert tags["mlflow.source.git.commit"] == commit
    assert (tags["git.packages"], tags["git.dirty"]) == ("own_networks", "false")
    assert "mlflow.source.git.repoURL" not in tags
    assert environment.git_diffs() == {}
    (package / "__init__.py").write_text("two\n")
    assert environment.tags()["git.dirty"] == "true"
    assert list(environment.git_diffs()) == ["git.diff"]
    assert "-one\n+two\n" in environment.git_diffs()["git.diff"]
    assert "own_networks" not in sys.modules


def test_a_single_file_is_a_package_too(package, monkeypatch, elsewhere):
    (package.parent / "one_file.py").write_text("one\n")
    committed(package.parent)
    monkeypatch.setenv("KERASDL_TARGETS", "one_file")
    assert environment.tags()["git.packages"] == "one_file"


def test_a_second_repository_has_names_of_its_own(package, tmp_path, monkeypatch):
    other = tmp_path / "more" / "further"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("one\n")
    commit = committed(other.parent)
    monkeypatch.syspath_prepend(other.parent)
    monkeypatch.setenv("KERASDL_TARGETS", "own_networks,further")
    (other / "__init__.py").write_text("three\n")
    tags = environment.tags()
    assert (tags["git.packages"], tags["git.dirty"]) == ("own_networks", "false")
    assert (tags["git.further.commit"], tags["git.further.dirty"]) == (commit, "true")
    assert list(environment.git_diffs()) == ["git-further.diff"]


def test_a_copy_below_somebodys_project_does_not_belong_to_it(elsewhere, monkeypatch):
    installed = elsewhere / "environment" / "installed_networks"
    installed.mkdir(parents=True)
    (installed / "__init__.py").touch()
    monkeypatch.syspath_prepend(installed.parent)
    monkeypatch.setenv("KERASDL_TARGETS", "installed_networks")
    assert environment.git_diffs() == {}
    assert "mlflow.source.git.commit" not in environment.tags()


def test_what_git_ignores_is_left_out_even_if_it_is_tracked(package):
    root = package.parent
    for name in ("keys.env", "secret/deep.txt", "gone.env", "kept.env", "[a] *.env"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("one\n")
    committed(root)
    (root / ".gitignore").write_text("*.env\nsecret/\n!kept.env\n")
    for name in ("keys.env", "secret/deep.txt", "[a] *.env"):
        (root / name).write_text("geheim\n")
    (root / "gone.env").unlink()
    (root / "untracked.txt").write_text("geheim\n")
    (root / "added.env").write_text("geheim\n")
    git(root, "add", "-f", "added.env")
    (root / "kept.env").write_text("seen\n")
    (root / "notes.txt").write_text("noted\n")
    diff = environment.git_diffs()["git.diff"]
    assert "geheim" not in diff
    assert "gone.env" not in diff
    assert {line for line in diff.splitlines() if line.startswith("+++")} == {"+++ b/kept.env", "+++ b/notes.txt"}


def test_the_users_settings_run_no_program_and_change_no_format(package, tmp_path, monkeypatch):
    root, trace = package.parent, tmp_path / "trace"
    script = tmp_path / "program"
    script.write_text(f'#!/bin/sh\necho ran >> {trace}\ncat "$1" 2>/dev/null\nexit 0\n')
    script.chmod(0o755)
    for name, value in {
        "diff.external": script, "diff.text.textconv": script, "core.fsmonitor": script, "core.pager": script,
        "color.ui": "always", "diff.noprefix": "true", "diff.mnemonicPrefix": "true",
    }.items():  # fmt: skip
        git(root, "config", name, str(value))
    (root / ".git" / "info" / "attributes").write_text("*.txt diff=text\n")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(script))
    (root / "notes.txt").write_text("two\n")
    environment.tags()
    assert environment.git_diffs()["git.diff"].startswith("diff --git a/notes.txt b/notes.txt\n")
    assert not trace.exists()


def test_a_large_change_is_cut_at_a_line(package, monkeypatch):
    monkeypatch.setattr(repository, "MAX_DIFF_BYTES", 1000)
    (package.parent / "notes.txt").write_text("äöü€\n" * 1000)
    diff = environment.git_diffs()["git.diff"]
    assert 900 < len(diff.encode()) <= 1000
    lines = diff.splitlines()
    assert lines[-1] == "[cut here: the diff is longer]"
    assert set(lines[6:-1]) == {"+äöü€"}


def test_a_password_is_in_no_diff_and_no_address(package):
    root = package.parent
    git(root, "remote", "add", "origin", "https://anna:geh@eim@example.org/code.git")
    (root / "notes.txt").write_text("store = 'postgresql://anna:geh:eim@db/runs?token=geheim'\n")
    assert environment.tags()["mlflow.source.git.repoURL"] == "https://anna:***@example.org/code.git"
    assert "+store = 'postgresql://anna:***@db/runs?token=***'" in environment.git_diffs()["git.diff"]


def test_without_git_a_commit_or_an_answer_in_time_there_is_nothing_to_tell(package, tmp_path, monkeypatch, capfd):
    (package / "__init__.py").write_text("two\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert environment.git_diffs() == {}
    (programs / "git").write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setattr(repository, "_TIMEOUT_SECONDS", 0.1)
    assert environment.git_diffs() == {}
    assert "git.dirty" not in environment.tags()
    assert capfd.readouterr() == ("", "")


def test_a_repository_without_a_commit(package):
    subprocess.run(["rm", "-rf", str(package.parent / ".git")], check=True)
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    assert repository.repositories() == []
