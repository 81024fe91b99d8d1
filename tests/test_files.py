"""Files written whole."""

import os

import pytest

from kerasdl.files import written_whole


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("before")

    def fail():
        with written_whole(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "before"
    with written_whole(path) as file:
        file.write(b"after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_others_may_read_what_any_other_file_lets_them_read(tmp_path):
    (tmp_path / "plain").write_text("")
    with written_whole(tmp_path / "whole") as file:
        file.write(b"")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode
