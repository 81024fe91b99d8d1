"""Tables that are part of scikit-learn: single numbers as inputs, a number as the target; nothing is downloaded."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.features import Features, number
from kerasdl.data.source import DataInfo, Example, Report, Segment
from kerasdl.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

_TEST_SHARE = 0.2


class SklearnTable:
    """A table of scikit-learn in two fixed splits, `train` and `test`; see `kerasdl.data.source.Source`.

    One example in five belongs to the test split. The choice is the same everywhere, since NumPy has frozen the random
    numbers of RandomState.

    Args:
        config: the `data` node of the configuration; `name` is the table's.

    Raises:
        DataError: there is no such table.
    """

    def __init__(self, config: Any):
        if config.name not in _TABLES:
            raise DataError(f"data.name must be one of {', '.join(_TABLES)}. Received: {config.name!r}.")
        table = _TABLES[config.name]
        self._columns = table.columns()
        inputs = {name: number() for name in self._columns if name != table.target}
        self.info = DataInfo(
            name=config.name,
            version=table.version,
            features=Features(inputs, {table.target: number()}),
            uri=f"sklearn://{config.name}/{table.version}",
            licence=table.licence,
            citation=table.citation,
        )
        size = len(self._columns[table.target])
        order, test = np.random.RandomState(0).permutation(size), round(_TEST_SHARE * size)
        self._rows = {"train": np.sort(order[test:]), "test": np.sort(order[:test])}

    @property
    def splits(self) -> Mapping[str, int]:
        return {name: len(rows) for name, rows in self._rows.items()}

    def check_files(self) -> None:
        """The table is part of scikit-learn."""

    def prepared(self, cache_dir: str, report: Report) -> "SklearnTable":
        digest = hashlib.sha256()
        for name, values in sorted(self._columns.items()):
            digest.update(f"{name}{values.dtype}{values.shape}".encode() + values.tobytes())
        self.info = self.info.identified(f"sha256-{digest.hexdigest()[:24]}")
        return self

    def read(self, spec: str, segments: Sequence[Segment], names: Sequence[str]) -> dict[str, np.ndarray]:
        rows = np.concatenate([self._rows[part.split][part.start : part.stop] for part in segments])
        return {name: self._columns[name][rows] for name in names}

    def stream(self, segments: Sequence[Segment]) -> "tf.data.Dataset":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(self.read("", segments, list(self._columns)))

    def decode(self, stored: Example) -> Example:
        return stored

    def blocks(self, split: str) -> Sequence[int]:
        return [self.splits[split]]


class _Diabetes:
    """442 patients: ten measurements, and how far the disease had progressed a year later."""

    version = "1.0.0"
    target = "progression"
    licence = ""  # the authors publish it on the page of their article without naming one
    citation = (
        "@article{efron2004least, title={Least angle regression}, author={Efron, Bradley and Hastie, Trevor and "
        "Johnstone, Iain and Tibshirani, Robert}, journal={The Annals of Statistics}, volume={32}, number={2}, "
        "pages={407--499}, year={2004}}"
    )

    @classmethod
    def columns(cls) -> dict[str, np.ndarray]:
        from sklearn.datasets import load_diabetes

        table = load_diabetes(scaled=False)
        columns = dict(zip(table.feature_names, table.data.T, strict=True)) | {cls.target: table.target}
        return {name: np.ascontiguousarray(values, np.float32) for name, values in columns.items()}


_TABLES = {"diabetes": _Diabetes}
