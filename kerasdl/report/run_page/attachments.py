"""A run's files as parts of a page: pictures, tables and texts, in a section for each command that kept them.

What is too long for a page is cut, and the page says where the rest is. A file that can't be read is named, and the
others are shown: a page with a gap is better than none.
"""

import base64
import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from PIL import Image, UnidentifiedImageError

from kerasdl.errors import TrackingError

MAX_ROWS = 50
MAX_TEXT = 20_000  # characters
# All pictures together: beyond this a browser takes long to open the page.
MAX_PICTURE_BYTES = 64 * 2**20
_TEXTS = (".txt", ".md", ".json", ".jsonl", ".yaml", ".yml", ".log", ".diff")
_PICTURES = ("PNG", "JPEG", "GIF", "WEBP")
# Titles of each command's results, in the order of the page; other folders come after them.
SECTIONS = {
    "error": "Error",
    "pictures": "During training",
    "evaluate": "Evaluation",
    "robustness": "Robustness",
    "explain": "Explanations",
    "export": "Export",
    "predictions": "Predictions",
}
# Pages like this one, and what has a place of its own in it.
_ELSEWHERE = ("report/", "config.yaml", "requirements.txt", "git.diff", "steps.csv")
CURVES = "learning_curves.png"


class Files(Protocol):
    """The files of a run (`kerasdl.tracking.artifacts.Artifacts`)."""

    def list(self) -> "list[str]": ...

    def fetch(self, path: str, folder: Path) -> Path: ...


@dataclass(frozen=True)
class Picture:
    """A picture: its path in the run, a description, its data URI, its size in pixels."""

    path: str
    alt: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Table:
    """A table: its path in the run, header, first rows, which columns are numbers, and how many rows are left out."""

    path: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    left_out: int


@dataclass(frozen=True)
class Text:
    """A text: its path in the run, its first characters, and how many are left out."""

    path: str
    text: str
    left_out: int


@dataclass(frozen=True)
class Section:
    """What one command has kept.

    Attributes:
        name: the folder.
        title: for people.
        metrics: the numbers whose names begin with the folder, without it.
        pictures, tables, texts: in the order of their paths.
        others: paths of what a page can't show, and why if it should have.
    """

    name: str
    title: str
    metrics: Mapping[str, float]
    pictures: Sequence[Picture]
    tables: Sequence[Table]
    texts: Sequence[Text]
    others: Sequence[str]


class Attachments:
    """The files of one run, fetched as they are asked for.

    Args:
        files: the run's.
        folder: where fetched ones are kept meanwhile.
    """

    def __init__(self, files: Files, folder: Path):
        self._files = files
        self._folder = folder
        self._bytes_left = MAX_PICTURE_BYTES
        self.paths = tuple(files.list())

    def text(self, path: str) -> str | None:
        """Returns a text file as it is; None if the run has none of this name."""
        return self._read(path).decode(errors="replace") if path in self.paths else None

    def picture(self, path: str, alt: str) -> Picture | None:
        """Returns a picture; None if the run has none of this name, or it can't be shown."""
        found = self._part(path, alt) if path in self.paths else None
        return found if isinstance(found, Picture) else None

    def task_pictures(self) -> list[Picture]:
        """Returns the pictures that lie in no folder but the curves: those that the task wanted kept."""
        paths = [path for path in self.paths if "/" not in path and path.endswith(".png") and path != CURVES]
        found = [self.picture(path, _in_words(path).capitalize()) for path in paths]
        return [picture for picture in found if picture]

    def sections(self, metrics: Mapping[str, float], shown: Collection[str] = ()) -> list[Section]:
        """Returns a section for each folder, those of known commands first, and what lies in none last.

        Args:
            metrics: of the run; those named `<folder>/...` are shown with the folder's files.
            shown: paths that are shown elsewhere.
        """
        elsewhere = (*_ELSEWHERE, CURVES)
        paths = [path for path in self.paths if path not in shown and not path.startswith(elsewhere)]
        measured = {name.partition("/")[0] for name in metrics if "/" in name} - {"system", "interval"}
        found = {path.partition("/")[0] if "/" in path else "" for path in paths} | measured
        known = list(SECTIONS)
        order = sorted(found, key=lambda name: (not name, known.index(name) if name in known else len(known), name))
        return [self._section(name, paths, metrics) for name in order]

    def _section(self, name: str, paths: Sequence[str], metrics: Mapping[str, float]) -> Section:
        mine = [path for path in paths if (path.startswith(f"{name}/") if name else "/" not in path)]
        title = SECTIONS.get(name, name.replace("_", " ").capitalize() if name else "Other files")
        numbers = {
            key.removeprefix(f"{name}/"): value for key, value in metrics.items() if name and key.startswith(f"{name}/")
        }
        parts = [self._part(path, f"{title}: {_in_words(path.removeprefix(f'{name}/'))}") for path in mine]
        return Section(
            name, title, numbers,
            [part for part in parts if isinstance(part, Picture)],
            [part for part in parts if isinstance(part, Table)],
            [part for part in parts if isinstance(part, Text)],
            [part for part in parts if isinstance(part, str)],
        )  # fmt: skip

    def _part(self, path: str, alt: str) -> Picture | Table | Text | str:
        """Returns what a page shows of a file; a line if that is nothing."""
        suffix = PurePosixPath(path).suffix.lower()
        try:
            if suffix in (".png", ".jpg", ".jpeg", ".gif", ".webp"):
                return self._picture(path, alt)
            if suffix == ".csv":
                return table(path, self._read(path).decode(errors="replace"))
            if suffix in _TEXTS:
                text = self._read(path).decode(errors="replace")
                return Text(path, text[:MAX_TEXT], max(0, len(text) - MAX_TEXT))
        except (UnidentifiedImageError, SyntaxError):  # Pillow's, for damaged ones
            return f"{path} (can't be read: it isn't a picture, or is damaged)"
        except (OSError, TrackingError, csv.Error, Image.DecompressionBombError) as error:
            return f"{path} (can't be read: {error})"
        return path

    def _picture(self, path: str, alt: str) -> Picture | str:
        data = self._read(path)
        with Image.open(io.BytesIO(data), formats=_PICTURES) as image:
            kind, (width, height) = image.format or "", image.size
            image.verify()
        if len(data) > self._bytes_left:
            return f"{path} (left out: more than {MAX_PICTURE_BYTES // 2**20} MB of pictures)"
        self._bytes_left -= len(data)
        uri = f"data:{Image.MIME[kind]};base64,{base64.b64encode(data).decode()}"
        return Picture(path, alt, uri, width, height)

    def _read(self, path: str) -> bytes:
        return self._files.fetch(path, self._folder).read_bytes()


def table(path: str, text: str) -> Table:
    """Reads a CSV file with a header; numbers are shortened to what a person reads."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    header, body = (rows[0], rows[1:]) if rows else ([], [])
    width = max([len(header), *map(len, body[:MAX_ROWS])])
    shown = [[*row, *[""] * (width - len(row))] for row in body[:MAX_ROWS]]
    numeric = [any(row[i] for row in shown) and all(_is_number(row[i]) for row in shown) for i in range(width)]
    return Table(
        path,
        [*header, *[""] * (width - len(header))],
        [[_shortened(cell) for cell in row] for row in shown],
        numeric,
        max(0, len(body) - MAX_ROWS),
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not cell  # nothing measured
    return True


def _shortened(cell: str) -> str:
    """Returns a number with six significant digits if it has more; anything else as it is."""
    if not cell or not _is_number(cell) or len(cell) <= 8 or not ("." in cell or "e" in cell.lower()):
        return cell
    value = float(cell)
    return f"{value:.6g}" if math.isfinite(value) else cell


def _in_words(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix().replace("/", ", ").replace("_", " ")
