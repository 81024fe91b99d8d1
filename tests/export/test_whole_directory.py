"""A directory that appears whole or not at all."""

import pytest

from kerasdl.errors import UserError
from kerasdl.export.folder import check_replaceable, whole_directory


def write(path, name, overwrite=False):
    with whole_directory(path, overwrite) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / name).write_text(name)
        assert not (path / "inner" / name).exists()


def names(path):
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def test_it_takes_its_place_when_the_block_ends(tmp_path):
    write(tmp_path / "deep" / "export", "a")
    assert names(tmp_path) == ["deep/export/inner/a"]
    assert (tmp_path / "deep" / "export").stat().st_mode & 0o777 == (tmp_path / "deep").stat().st_mode & 0o777


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_or_an_interrupt_leaves_what_was_there(tmp_path, error):
    write(tmp_path / "export", "a")

    def fail():
        with whole_directory(tmp_path / "export", overwrite=True) as folder:
            (folder / "b").write_text("half of it")
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == ["export/inner/a"]


def test_what_was_there_is_replaced_whole_if_asked(tmp_path):
    write(tmp_path / "export", "a")
    write(tmp_path / "export", "b", overwrite=True)
    assert names(tmp_path) == ["export/inner/b"]


def test_what_has_come_meanwhile_is_not_replaced(tmp_path):
    def race():
        with whole_directory(tmp_path / "export", overwrite=False) as folder:
            (folder / "b").write_text("b")
            write(tmp_path / "export", "a")

    with pytest.raises(UserError, match="can't be written: Directory not empty"):
        race()
    assert names(tmp_path) == ["export/inner/a"]


def test_an_empty_directory_gives_way(tmp_path):
    (tmp_path / "export").mkdir()
    write(tmp_path / "export", "a")
    assert names(tmp_path) == ["export/inner/a"]


def test_a_place_where_nothing_can_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output: '.*export' can't be written: File exists"):
        write(tmp_path / "file" / "export", "a")


def test_a_directory_with_other_things_in_it_is_not_to_be_replaced(tmp_path):
    (tmp_path / "README.md").write_text("")
    check_replaceable(tmp_path, {"README.md", "model.keras"})
    check_replaceable(tmp_path / "missing", {"README.md"})
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"has 'thesis.tex', which no export makes.*Name another directory"):
        check_replaceable(tmp_path, {"README.md", "model.keras"})
