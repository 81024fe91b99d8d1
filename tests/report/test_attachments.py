import io

import pytest
from PIL import Image

from kerasdl.errors import TrackingError
from kerasdl.report.run_page import attachments
from kerasdl.report.run_page.attachments import Attachments, table

_FILE = io.BytesIO()
Image.new("L", (1, 1)).save(_FILE, "PNG")
PNG = _FILE.getvalue()


class Files:
    """Files that are in memory until they are fetched."""

    def __init__(self, **files):
        self.files = {name.replace("__", "/").replace("_dot_", "."): content for name, content in files.items()}

    def list(self):
        return sorted(self.files)

    def fetch(self, path, folder):
        if self.files[path] is None:
            raise TrackingError("run x has no such file")
        file = folder / path.replace("/", "-")
        file.write_bytes(self.files[path])
        return file


def sections(tmp_path, files, metrics=()):
    return Attachments(files, tmp_path).sections(dict(metrics))


def test_known_commands_come_first_and_files_outside_folders_last(tmp_path):
    files = Files(own_dot_txt=b"a", zoo__a_dot_txt=b"b", explain__a_dot_txt=b"c", error__traceback_dot_txt=b"d",
                  config_dot_yaml=b"e", report__report_dot_html=b"f")  # fmt: skip
    metrics = {"robustness/pgd": 0.5, "system/cpu": 1.0, "loss": 0.1}
    found = sections(tmp_path, files, metrics)
    assert [section.title for section in found] == ["Error", "Robustness", "Explanations", "Zoo", "Other files"]
    assert found[1].metrics == {"pgd": 0.5}


def test_pictures_outside_folders_are_the_task_s_and_not_among_the_other_files(tmp_path):
    files = Files(residuals_dot_png=PNG, learning_curves_dot_png=PNG, own_dot_png=b"no", a__b_dot_png=PNG)
    attached = Attachments(files, tmp_path)
    found = attached.task_pictures()
    assert [(picture.path, picture.alt) for picture in found] == [("residuals.png", "Residuals")]
    first, others = attached.sections({}, {picture.path for picture in found})
    assert [picture.path for picture in first.pictures] == ["a/b.png"]
    assert others.title == "Other files"
    assert not others.pictures
    assert others.others == ["own.png (can't be read: it isn't a picture, or is damaged)"]


def test_what_can_not_be_shown_is_named(tmp_path):
    files = Files(export__model_dot_onnx=b"\0", export__a_dot_png=b"no", export__gone_dot_csv=None,
                  export__cut_dot_png=PNG[:40], export__good_dot_png=PNG)  # fmt: skip
    (section,) = sections(tmp_path, files)
    assert [picture.path for picture in section.pictures] == ["export/good.png"]
    assert (section.pictures[0].width, section.pictures[0].alt) == (1, "Export: good")
    assert len(section.others) == 4
    assert "export/model.onnx" in section.others
    assert "export/gone.csv (can't be read: run x has no such file)" in section.others


def test_pictures_beyond_the_budget_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(attachments, "MAX_PICTURE_BYTES", len(PNG))
    (section,) = sections(tmp_path, Files(a__1_dot_png=PNG, a__2_dot_png=PNG))
    assert [picture.path for picture in section.pictures] == ["a/1.png"]
    assert section.others[0].startswith("a/2.png (left out")


def test_long_texts_are_cut(tmp_path):
    (section,) = sections(tmp_path, Files(a__b_dot_md=b"x" * (attachments.MAX_TEXT + 5)))
    assert (len(section.texts[0].text), section.texts[0].left_out) == (attachments.MAX_TEXT, 5)


@pytest.mark.parametrize(
    ("text", "header", "rows", "numeric"),
    [
        ("a,b\n1,x\n2.123456789,y\n", ["a", "b"], [["1", "x"], ["2.12346", "y"]], [True, False]),
        ("a,b\n1\n2,3,4\n", ["a", "b", ""], [["1", "", ""], ["2", "3", "4"]], [True, True, True]),
        ("id\n1234567890123\n", ["id"], [["1234567890123"]], [True]),
        ("", [], [], []),
        ("only,header\n", ["only", "header"], [], [False, False]),
    ],
)
def test_tables_are_read_whatever_their_form(text, header, rows, numeric):
    found = table("t.csv", text)
    assert (found.header, found.rows, found.numeric, found.left_out) == (header, rows, numeric, 0)
