"""Numbers that a model gives as text: a column each, in a table for people, in CSV and in JSON lines.

A scalar has a column by its name; a vector, such as a code, one for each of its numbers: `code_0`, `code_1`, ... What
is written for labels is `kerasdl.predict.formats`.
"""

import itertools
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.cells import cell_len

from kerasdl.data.features import Feature
from kerasdl.predict.formats import clipped, csv_line, padded, printable
from kerasdl.trained.predicting import Prediction, shortest

_GAP = "  "
_NAME_WIDTH = 12  # of a name at least, however narrow the terminal
_NUMBER_WIDTH = 12


def columns(outputs: Mapping[str, Feature]) -> list[str]:
    """Returns the names of the columns of outputs that are numbers."""
    names: list[str] = []
    for name, feature in outputs.items():
        if feature.is_scalar:
            names.append(name)
        else:
            names += (f"{name}_{position}" for position in range(math.prod(feature.shape)))
    return names


class _Numbers:
    """What the formats share.

    Args:
        outputs: those to be written.
        key: name of the column of the examples' names.
    """

    opening = ""

    def __init__(self, outputs: Mapping[str, Feature], key: str):
        self._outputs = tuple(outputs)
        self._columns = columns(outputs)
        self._key = key

    def _numbers(self, prediction: Prediction) -> Iterator[np.float32]:
        return itertools.chain.from_iterable(prediction.outputs[name].reshape(-1) for name in self._outputs)


class Csv(_Numbers):
    """Comma-separated values: name, the numbers with as many digits as float32 needs, error."""

    def __init__(self, outputs: Mapping[str, Feature], key: str):
        super().__init__(outputs, key)
        self.opening = csv_line([key, *self._columns, "error"])

    def rows(self, batch: Sequence[Prediction]) -> str:
        return "".join(csv_line(self._cells(prediction)) for prediction in batch)

    def _cells(self, prediction: Prediction) -> list[Any]:
        if prediction.error is not None:
            return [prediction.name, *[""] * len(self._columns), prediction.error]
        return [prediction.name, *self._numbers(prediction), ""]


class JsonLines(_Numbers):
    """A JSON object a line: name, and the numbers or an error."""

    def rows(self, batch: Sequence[Prediction]) -> str:
        return "".join(json.dumps(self._object(prediction), allow_nan=False) + "\n" for prediction in batch)

    def _object(self, prediction: Prediction) -> dict[str, Any]:
        if prediction.error is not None:
            return {self._key: prediction.name, "error": prediction.error}
        numbers = map(shortest, self._numbers(prediction))
        return {self._key: prediction.name, **dict(zip(self._columns, numbers, strict=True))}


class Table(_Numbers):
    """Aligned columns for people, six digits each.

    Args:
        outputs, key: see `_Numbers`.
        width: of the terminal, in characters: numbers that leave no room are cut off. None: no limit.
    """

    def __init__(self, outputs: Mapping[str, Feature], key: str, width: int | None = None):
        super().__init__(outputs, key)
        widths = [max(len(name), _NUMBER_WIDTH) for name in self._columns]
        room = (width or sys.maxsize) - _NAME_WIDTH - len(_GAP) - 1  # of "…"
        ends = list(itertools.accumulate(each + len(_GAP) for each in widths))
        self._widths = widths[: max(sum(end <= room for end in ends), 1)]
        self._cut = "…" if len(self._widths) < len(widths) else ""
        self._most = max((width or sys.maxsize) - ends[len(self._widths) - 1] - 1, _NAME_WIDTH) if ends else sys.maxsize
        self._name_width = 0

    def rows(self, batch: Sequence[Prediction]) -> str:
        names = [clipped(printable(prediction.name), self._most) for prediction in batch]
        lines = []
        is_first = not self._name_width
        self._name_width = max([self._name_width, len(self._key), *map(cell_len, names)])
        if is_first:
            lines.append(self._line(self._key, self._columns))
        for name, prediction in zip(names, batch, strict=True):
            if prediction.error is not None:
                lines.append(f"{padded(name, self._name_width)}{_GAP}error: {printable(prediction.error)}")
            else:
                lines.append(self._line(name, [f"{value:.6g}" for value in self._numbers(prediction)]))
        return "".join(line.rstrip() + "\n" for line in lines)

    def _line(self, name: str, cells: Sequence[str]) -> str:
        shown = (f"{cell:>{width}}" for cell, width in zip(cells, self._widths, strict=False))
        return _GAP.join([padded(name, self._name_width), *shown]) + self._cut


FORMATS = {"table": Table, "csv": Csv, "jsonl": JsonLines}
