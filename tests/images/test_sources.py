"""What `input=` names: files, folders, patterns, arrays and standard input."""

import io
import os
import sys

import numpy as np
import pytest
from PIL import Image

from kerasdl.errors import DataError
from kerasdl.images import named, read
from kerasdl.images.sources import sources

SHAPE = (4, 3, 1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The present folder, with a picture of which every pixel is its number in each of its files."""
    monkeypatch.chdir(tmp_path)
    names = ["a.png", "b,c.png", "b.JPG", "sub/10.png", "sub/9.png", "sub/deep/z.bmp", ".hidden.png", ".git/x.png"]
    for number, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(SHAPE[:2], number, np.uint8)).save(path)
    for name in ("labels.txt", "sub/notes.txt", "sub/Makefile", "weights.h5"):
        (tmp_path / name).write_text("no picture")
    return tmp_path


def found(inputs, **options):
    return [source.name for source in sources(inputs, **options)]


def contents(inputs, **options):
    """Returns the first pixel of each picture by its name, or the error."""
    items = read(inputs, SHAPE, **options)
    return [(item.name, item.error or int(item.pixels[0, 0, 0])) for item in items]


def test_files_come_in_the_order_they_are_named(folder):
    assert contents("sub/9.png,a.png,sub/9.png") == [("sub/9.png", 4), ("a.png", 0), ("sub/9.png", 4)]


def test_a_folder_gives_its_pictures_sorted_and_says_what_it_leaves_out(folder):
    notes = []
    assert found("sub", note=notes.append) == ["sub/10.png", "sub/9.png", "sub/deep/z.bmp"]
    assert notes == ["sub: other files left out: 2 (no suffix, .txt)"]
    notes.clear()
    everything = ["a.png", "b,c.png", "b.JPG", "sub/10.png", "sub/9.png", "sub/deep/z.bmp"]
    assert found(str(folder), note=notes.append) == [str(folder / name) for name in everything]
    assert "4 (.txt" in notes[0]


def test_a_folder_without_pictures_is_an_error_of_its_own(folder):
    (folder / "empty").mkdir()
    assert contents("empty,a.png") == [("empty", "a folder without pictures"), ("a.png", 0)]


def test_links_in_a_folder(folder):
    os.symlink(folder / "sub", folder / "sub" / "round")  # for ever, if it was followed
    os.symlink(folder / "a.png", folder / "sub" / "link.png")
    os.symlink(folder / "nothing.png", folder / "sub" / "lost.png")
    assert contents("sub")[-2:] == [("sub/link.png", 0), ("sub/lost.png", "No such file or directory")]


def test_patterns_reach_files_and_with_two_stars_folders(folder):
    assert found("*.png") == ["a.png", "b,c.png"]
    assert found("sub/[0-9]*.png") == ["sub/10.png", "sub/9.png"]
    assert found("**/*.png") == ["a.png", "b,c.png", "sub/10.png", "sub/9.png"]
    assert found("sub/**")[:2] == ["sub/10.png", "sub/9.png"]
    assert found("sub/**").count("sub/deep/z.bmp") == 1, "once, and not again as part of its folder"
    assert found("su*") == ["sub/10.png", "sub/9.png", "sub/deep/z.bmp"]


def test_a_file_may_look_like_a_pattern_or_have_commas(folder):
    Image.fromarray(np.full(SHAPE[:2], 77, np.uint8)).save(folder / "[1].png")
    assert contents("[1].png") == [("[1].png", 77)]
    assert contents("b,c.png") == [("b,c.png", 1)]
    assert contents('"b,c.png",a.png') == [("b,c.png", 1), ("a.png", 0)]
    assert contents(["b,c.png"]) == [("b,c.png", 1)]


@pytest.mark.parametrize(
    ("text", "told"),
    [("a.png,no/*.gif", "'no/*.gif'"), ("a.png,b.pgn", "'b.pgn'"), ('"a.png', '"a.png'), ("a.png,", "''")],
)
def test_a_name_or_pattern_that_nothing_has_is_told_before_anything_is_read(folder, text, told):
    for function in (named, sources, lambda text: read(text, SHAPE)):
        with pytest.raises(DataError, match="^input") as caught:
            function(text)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_entries_of_a_list_are_errors_among_the_rest(folder):
    expected = [("no.png", "No such file or directory"), ("*.gif", "no file matches"), ("a.png", 0)]
    assert contents(["no.png", "*.gif", folder.relative_to(folder) / "a.png"]) == expected


def test_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert contents("~/a.png") == contents("~/a.pn?") == [(str(folder / "a.png"), 0)]


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((4, 3), ["x"]),
        ((4, 3, 1), ["x"]),
        ((4, 3, 3), ["x"]),
        ((2, 4, 6), ["x[0]", "x[1]"]),
        ((2, 4, 3, 1), ["x[0]", "x[1]"]),
        ((2, 4, 3, 3), ["x[0]", "x[1]"]),
    ],
)
def test_arrays_of_one_picture_and_of_many(folder, shape, names):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    np.save(folder / "x.npy", array)
    from_file = list(read("x.npy", SHAPE))
    from_stdin = list(read("-", SHAPE, stdin=io.BytesIO((folder / "x.npy").read_bytes())))
    from_memory = list(read(array, SHAPE))
    pictures = [array] if len(names) == 1 else array
    assert [item.name for item in from_file] == [name.replace("x", "x.npy") for name in names]
    assert [item.name for item in from_stdin] == [name.replace("x", "-") for name in names]
    assert [item.name for item in from_memory] == [name.replace("x", "inputs") for name in names]
    for some in (from_file, from_stdin, from_memory):
        for item, picture in zip(some, pictures, strict=True):
            one = next(read(picture, SHAPE))
            np.testing.assert_array_equal(item.pixels, one.pixels)
    if shape == (4, 3):
        np.testing.assert_array_equal(from_file[0].pixels[..., 0], array)


def test_an_array_file_is_mapped_and_not_loaded(folder):
    np.save(folder / "x.npy", np.zeros((5, 4, 6), np.uint8))
    assert isinstance(next(sources("x.npy")).content, np.memmap)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 3), np.float32),
        np.zeros((4, 3), np.int64),
        np.zeros((4, 3), bool),
        np.zeros(4, np.uint8),
        np.zeros((1, 2, 4, 3, 1), np.uint8),
        np.zeros((2, 4, 3, 7), np.uint8),
        np.zeros((0, 4, 6), np.uint8),
        np.array([{}, None], dtype=object),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_any_other_array_is_one_error_and_the_rest_go_on(folder, array):
    np.save(folder / "x.npy", array, allow_pickle=True)
    (name, error), after = contents("x.npy,a.png")
    assert name == "x.npy"
    assert isinstance(error, str)
    assert after == ("a.png", 0)
    if array.size and not array.dtype.hasobject:
        assert str(array.dtype) in error
        assert str(list(array.shape)) in error


def test_array_files_that_are_cut_empty_or_none(folder):
    np.save(folder / "x.npy", np.zeros((9, 40, 30), np.uint8))
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:500])
    (folder / "empty.npy").write_bytes(b"")
    (folder / "text.npy").write_text("0 0 0")
    names = ["cut.npy", "empty.npy", "text.npy", "none.npy"]
    errors = contents(names)
    assert [name for name, _ in errors] == names
    assert all(isinstance(error, str) and error for _, error in errors)
    data = (folder / "cut.npy").read_bytes()
    (only,) = contents("-", stdin=io.BytesIO(data))
    assert isinstance(only[1], str)


def test_pictures_and_lists_of_them_from_python(folder):
    image = Image.open("a.png")
    array = np.full(SHAPE[:2], 9, np.uint8)
    many = np.full((2, 4, 6), 8, np.uint8)
    entries = iter([image, Image.fromarray(array), array, many, "a.png", image])
    names = ["a.png", "inputs[1]", "inputs[2]", "inputs[3][0]", "inputs[3][1]", "a.png", "a.png"]
    expected = list(zip(names, [0, 9, 9, 8, 8, 0, 0], strict=True))
    assert contents(entries) == expected
    assert contents(image) == [("a.png", 0)]
    assert contents(folder / "a.png") == [(str(folder / "a.png"), 0)]


def test_a_list_of_names_on_standard_input_is_read_as_it_comes(folder):
    lines = iter([b"a.png\n", b"\n", b"sub/9.png\r\n", b"no.png\n", b"sub\n", b"b,c.png"])
    given = []

    class Slow(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            line = next(lines, b"")
            given.append(line)
            buffer[: len(line)] = line
            return len(line)

    stream = sources("-", stdin=Slow())
    assert next(stream).name == "a.png"
    assert given == [b"a.png\n"], "the second line is asked for when the first picture has been taken"
    assert [source.name for source in stream] == ["sub/9.png", "no.png", "sub", "b,c.png"]
    listed = contents("-", stdin=io.BytesIO(b"sub/9.png\nno.png\nsub\na.png\n"))
    errors = [("no.png", "No such file or directory"), ("sub", "Is a directory")]
    assert listed == [("sub/9.png", 4), *errors, ("a.png", 0)]


def test_a_picture_on_standard_input(folder, monkeypatch):
    for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA"):
        data = io.BytesIO()
        Image.fromarray(np.full((16, 16), 200, np.uint8)).save(data, format)
        ((name, value),) = contents("-", stdin=io.BytesIO(data.getvalue()))
        assert name == "-"
        assert value == pytest.approx(200, abs=2), format
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "a.png").read_bytes())))
    assert contents("-,a.png") == [("-", 0), ("a.png", 0)]


def test_names_that_begin_like_pictures_are_names_where_they_exist(folder):
    for name in ("BMW.png", "P5.png"):
        (folder / name).write_bytes((folder / "sub" / "9.png").read_bytes())
        assert contents("-", stdin=io.BytesIO(name.encode())) == [(name, 4)]


def test_nothing_or_rubbish_on_standard_input(folder):
    assert contents("-", stdin=io.BytesIO(b"")) == [("-", "nothing came on standard input")]
    assert contents("-", stdin=io.BytesIO(b"\0\1\2" * 99)) == [("-", "not a picture that Pillow can read")]
    assert contents("-", stdin=io.BytesIO(b"some words\n")) == [("some words", "No such file or directory")]


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_names_are_bytes(folder):
    name = os.fsdecode(b"sieben \xff\n.png")
    (folder / name).write_bytes((folder / "a.png").read_bytes())
    assert contents("sieb*") == [(name, 0)]
    assert (name, 0) in contents(".")[-2:] or (f"./{name}", 0) in contents(".")
