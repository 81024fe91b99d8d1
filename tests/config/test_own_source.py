"""The source of the user's own code: all that a target depends on is covered, and nothing is imported to see it."""

import errno
import os
import py_compile
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES, SourceFileLoader

import pytest
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.config.checks import check
from kerasdl.config.identity import config_hash, source_digests
from kerasdl.config.source import digest, recorded_sources, sources, with_sources
from kerasdl.errors import ConfigError
from kerasdl.tracking.limits import flatten

PACKAGE = {
    "mine/__init__.py": "from mine.nets import build",
    "mine/nets.py": "import keras\nfrom . import blocks\nfrom .parts.heads import head\n\ndef build(width=3): ...\n",
    "mine/blocks.py": "import numpy as np\n\ndef block(): ...\n",
    "mine/parts/__init__.py": "",
    "mine/parts/heads.py": "def head():\n    from beside import scale\n    return scale\n",
    "mine/unused.py": "1 / 0\n",
    "beside.py": "import json, mine.far.away\nscale = 1\n",
    "mine/far/away.py": "x = 1\n",  # a package without an __init__.py
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files below a folder that modules are found in; none of them may be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before = {*sys.modules}

    def written(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text)

    yield written
    new = {name for name in {*sys.modules} - before if name.partition(".")[0] in ("mine", "beside", "other", "zipped")}
    assert new == set()


def of(target="mine.build"):
    return digest(target, "model._target_")


@pytest.mark.parametrize("changed", sorted({*PACKAGE} - {"mine/unused.py", "mine/parts/__init__.py"}))
def test_a_change_in_any_module_that_it_imports_counts(write, changed):
    write(PACKAGE)
    before = of()
    assert of() == before
    write({changed: PACKAGE[changed] + "\nadded = 2\n"})
    assert of() != before
    write({changed: PACKAGE[changed]})
    assert of() == before


def test_what_it_does_not_import_and_what_runs_no_code_does_not_count(write):
    write(PACKAGE)
    before = of()
    write({"mine/unused.py": "2", "elsewhere.py": "3"})
    assert of() == before
    write({"mine/blocks.py": "# A comment.\nimport numpy   as np\n\n\ndef block():\n    ...  # another\n"})
    assert of() == before
    write({"mine/blocks.py": "import numpy as np\n\ndef block():\n    'A docstring.'\n"})
    assert of() != before


def test_packages_that_are_installed_count_only_if_the_environment_names_them(write, monkeypatch, tmp_path):
    write({"mine.py": "import other\n", "site-packages/other.py": "x = 1\n"})
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    seen = []
    for targets in ("mine", "mine,other"):
        monkeypatch.setenv("KERASDL_TARGETS", targets)
        for text in ("x = 1\n", "x = 2\n"):
            write({"site-packages/other.py": text})
            seen.append(of())
    assert seen[0] == seen[1]
    assert seen[2] != seen[3]


def test_a_target_in_an_installed_package_counts(write, monkeypatch, tmp_path):
    write({"site-packages/mine/__init__.py": "x = 1\n"})
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    before = of()
    write({"site-packages/mine/__init__.py": "x = 2\n"})
    assert of() != before


def test_imports_in_a_circle_end(write):
    write({"mine/__init__.py": "from . import a", "mine/a.py": "from . import b", "mine/b.py": "from mine import a, z"})
    assert of("mine.a.build") == of("mine.a.build")


def test_compiled_modules_count_by_their_bytes(write, tmp_path):
    write({"mine/__init__.py": "from mine import fast", f"mine/fast{EXTENSION_SUFFIXES[0]}": b"\x7fELF 1"})
    before = of()
    write({f"mine/fast{EXTENSION_SUFFIXES[0]}": b"\x7fELF 2"})
    assert of() != before
    write({"other.py": "x = 1"})
    py_compile.compile(str(tmp_path / "other.py"), cfile=str(tmp_path / "other.pyc"), doraise=True)
    (tmp_path / "other.py").unlink()
    assert len(of("other.build")) == 16


def test_a_package_in_an_archive_counts(write, monkeypatch, tmp_path):
    seen = []
    for number, text in enumerate(("x = 1", "x = 2")):
        archive = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("zipped/__init__.py", "from zipped.nets import build")
            file.writestr("zipped/nets.py", text)
        monkeypatch.setattr(sys, "path", [str(archive), *sys.path])
        seen.append(of("zipped.build"))
    assert seen[0] != seen[1]


@pytest.mark.parametrize(("files", "target", "message"), [
    ({}, "mine.build", r"there is no module mine\. Install its package, or set PYTHONPATH"),
    ({"mine/__init__.py": ""}, "mine.nets.build", r"there is no module mine\.nets\. Install"),
    ({"mine.py": "x = 1\ndef build(:\n"}, "mine.build", r"mine\.py, line 2 isn't valid Python: invalid syntax\.$"),
    ({"mine.py": "import beside", "beside.py": b"\xff\xfe"}, "mine.build", r"beside\.py.* isn't valid Python: "),
])  # fmt: skip
def test_what_is_not_there_or_no_python_is_said_in_one_line(write, files, target, message):
    write(files)
    with pytest.raises(ConfigError, match=rf"^model\._target_: .*{message}") as caught:
        of(target)
    assert "\n" not in str(caught.value)


def test_what_may_not_be_read_is_said(write, monkeypatch):
    def refuse(loader, path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    write({"mine.py": ""})
    monkeypatch.setattr(SourceFileLoader, "get_data", refuse)
    with pytest.raises(ConfigError, match=r"^model\._target_: .*mine\.py can't be read \(Permission denied\)\.$"):
        of()


def test_what_a_session_defines_can_be_told_from_nothing(monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(ConfigError, match=r"__main__\.build isn.t defined in a file.*Move it into a module\.$"):
        of("__main__.build")


def test_the_digests_go_with_their_nodes(write):
    write({"mine.py": "x = 1", "other.py": "x = 2"})
    tree = {
        "model": {"_target_": "mine.build", "part": {"_target_": "keras.regularizers.L2"}},
        "callbacks": {"a": {"_target_": "other.Mine"}, "b": {"_target_": "keras.callbacks.TerminateOnNaN"}},
        "schedule": {"_target_": "kerasdl.training.schedules.Constant"},
    }
    found = sources(tree)
    assert found == {"model": of("mine.build"), "callbacks.a": of("other.Mine")}
    marked = with_sources(tree, found)
    assert marked["callbacks"]["a"] == {"_target_": "other.Mine", "_source_": found["callbacks.a"]}
    assert (marked["schedule"], marked["model"]["part"]) == (tree["schedule"], tree["model"]["part"])
    assert "_source_" not in tree["model"]
    assert recorded_sources(flatten(marked)) == found


@pytest.fixture
def config(write, monkeypatch):
    write(PACKAGE)
    monkeypatch.setenv("KERASDL_TARGETS", "mine")
    composed = compose(["data=digits"])
    composed.model = OmegaConf.create({"_target_": "mine.build", "width": 3})
    return composed


def test_the_hash_of_a_configuration_covers_the_source_of_its_own_model(config, write):
    before, digests = config_hash(config), source_digests(config)
    assert [*digests] == ["model"]
    assert config_hash(config, digests) == before
    write({"mine/blocks.py": "y = 2"})
    assert config_hash(config) != before
    assert config_hash(config, digests) == before  # as it was
    assert source_digests(compose()) == {}


def test_a_model_that_is_not_there_is_refused_while_the_configuration_is_checked(config, write):
    check(config)
    write({"mine/nets.py": "def build(:"})
    with pytest.raises(ConfigError, match=r"^model\._target_: .*nets\.py, line 1 isn't valid Python"):
        check(config)
    write({"mine/nets.py": PACKAGE["mine/nets.py"]})
    config.model._target_ = "mine.elsewhere.build"
    with pytest.raises(ConfigError, match=r"^model\._target_: there is no module mine\.elsewhere\."):
        check(config)
