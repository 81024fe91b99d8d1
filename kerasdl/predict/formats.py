"""Labels that a model gives as text: a table for people, CSV for spreadsheets and data frames, JSON lines for programs.

Each format turns a batch of predictions into text at once and keeps nothing, so that rows appear as they are made. What
is written for numbers is `kerasdl.predict.numbers`.
"""

import csv
import io
import json
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from rich.cells import cell_len

from kerasdl.trained.predicting import Prediction, shortest

_GAP = "  "
_NAME_WIDTH = 12  # of a name at least, however narrow the terminal
_CLASS_WIDTH = 20  # of a class's name at most


class Format(Protocol):
    """Writes predictions as text.

    Attributes:
        opening: the text before the first row.
    """

    opening: str

    def rows(self, batch: Sequence[Prediction]) -> str:
        """Returns the lines of some predictions."""
        ...


class Csv:
    """Comma-separated values: name, class, probability, class_2, probability_2, ..., error.

    Probabilities have as many digits as float32 needs; a name with commas, quotes or line breaks is quoted.

    Args:
        class_names: one name a class.
        top: classes in a row, >= 1.
        probabilities: whether each class's probability follows, in a column `p(<class>)`.
        key: name of the column of the examples' names.
    """

    def __init__(self, class_names: Sequence[str], top: int, probabilities: bool, key: str = "file"):
        self._top = min(top, len(class_names))
        self._classes = class_names if probabilities else ()
        columns = [key, "class", "probability"]
        for rank in range(2, self._top + 1):
            columns += [f"class_{rank}", f"probability_{rank}"]
        self.opening = csv_line([*columns, *(f"p({name})" for name in self._classes), "error"])

    def rows(self, batch: Sequence[Prediction]) -> str:
        return "".join(csv_line(self._cells(prediction)) for prediction in batch)

    def _cells(self, prediction: Prediction) -> list[Any]:
        if prediction.probabilities is None:
            return [prediction.name, *[""] * (2 * self._top + len(self._classes)), prediction.error]
        best = [cell for pair in prediction.top[: self._top] for cell in pair]
        return [prediction.name, *best, *(prediction.probabilities if self._classes else ()), ""]


class JsonLines:
    """A JSON object a line: name, class, probability, top, and probabilities or error where there are any.

    ASCII throughout; bytes of a file's name that aren't UTF-8 are lone surrogates, as Python has them.
    """

    opening = ""

    def __init__(self, class_names: Sequence[str], top: int, probabilities: bool, key: str = "file"):
        self._top = top
        self._classes = class_names if probabilities else ()
        self._key = key

    def rows(self, batch: Sequence[Prediction]) -> str:
        return "".join(json.dumps(self._object(prediction), allow_nan=False) + "\n" for prediction in batch)

    def _object(self, prediction: Prediction) -> dict[str, Any]:
        if prediction.probabilities is None:
            return {self._key: prediction.name, "error": prediction.error}
        found: dict[str, Any] = {
            self._key: prediction.name,
            "class": prediction.class_name,
            "probability": prediction.probability,
            "top": [{"class": name, "probability": value} for name, value in prediction.top[: self._top]],
        }
        if self._classes:
            values = map(shortest, prediction.probabilities)
            found["probabilities"] = dict(zip(self._classes, values, strict=True))
        return found


class Table:
    """Aligned columns for people, in per cent; each batch gets the room that its names need.

    Args:
        class_names, top, probabilities, key: as for `Csv`.
        width: of the terminal, in characters: a name that leaves no room loses its beginning. None: no limit.
    """

    opening = ""

    def __init__(
        self,
        class_names: Sequence[str],
        top: int,
        probabilities: bool,
        key: str = "file",
        width: int | None = None,
    ):
        self._key = key
        self._top = min(top, len(class_names))
        self._classes = class_names if probabilities else ()
        self._class_width = min(max(len(name) for name in (*class_names, "class 2")), _CLASS_WIDTH)
        room = width - self._top * (self._class_width + len(_GAP) + 10) if width else sys.maxsize
        self._most = max(room, _NAME_WIDTH)
        self._name_width = 0

    def rows(self, batch: Sequence[Prediction]) -> str:
        names = [clipped(printable(prediction.name), self._most) for prediction in batch]
        lines = []
        if not self._name_width:
            ranks = [padded("class" if rank == 1 else f"class {rank}", self._class_width + 10) for rank in self._ranks]
            self._name_width = max([len(self._key), *map(cell_len, names)])
            lines.append(
                [padded(self._key, self._name_width), *ranks, *(f"{f'p({name})':>9}" for name in self._classes)]
            )
        self._name_width = max([self._name_width, *map(cell_len, names)])
        for name, prediction in zip(names, batch, strict=True):
            lines.append([padded(name, self._name_width), *self._cells(prediction)])
        return "".join(_GAP.join(line).rstrip() + "\n" for line in lines)

    @property
    def _ranks(self) -> range:
        return range(1, self._top + 1)

    def _cells(self, prediction: Prediction) -> list[str]:
        if prediction.probabilities is None:
            return [f"error: {printable(prediction.error or '')}"]
        best = [
            f"{padded(clipped(printable(name), self._class_width), self._class_width)} {value:>9.2%}"
            for name, value in prediction.top[: self._top]
        ]
        return [*best, *(f"{value:>9.2%}" for value in (prediction.probabilities if self._classes else ()))]


FORMATS = {"table": Table, "csv": Csv, "jsonl": JsonLines}


def printable(text: str) -> str:
    """Returns a name with its line breaks, control characters and undecodable bytes escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def encoded(text: str) -> bytes:
    """Returns UTF-8, in which a file's name has the bytes that it has on the disk, whatever they are."""
    return text.encode("utf-8", "surrogateescape")


def csv_line(cells: Sequence[Any]) -> str:
    """Returns a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # so that either character in a name is quoted
    return line.getvalue().removesuffix("\r\n") + "\n"


def clipped(text: str, width: int) -> str:
    """Returns a text, or its end where it is too long."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def padded(text: str, width: int) -> str:
    """Returns a text, filled with spaces up to a width."""
    return text + " " * (width - cell_len(text))
