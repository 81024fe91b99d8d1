"""Predictions as arrays in one `.npz` file: all rows of each output, and the names of the examples."""

from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

from kerasdl.data.features import Feature
from kerasdl.trained.predicting import Prediction


class Npz:
    """Collects predictions and writes them at the end; all of them are held in memory.

    The file has an array (n, *shape) float32 by the name of each output, `names` and `errors` (empty where there is
    none). A broken example has NaN. For a label there are `probabilities` (n, classes) and `class_names`.

    Args:
        outputs: those to be written.
    """

    def __init__(self, outputs: Mapping[str, Feature]):
        self._outputs = outputs
        self._names: list[str] = []
        self._errors: list[str] = []
        self._values: dict[str, list[np.ndarray]] = {name: [] for name in outputs}

    def add(self, batch: Sequence[Prediction]) -> None:
        for prediction in batch:
            self._names.append(prediction.name)
            self._errors.append(prediction.error or "")
            for name, feature in self._outputs.items():
                shape = (len(feature.names),) if feature.kind == "label" else feature.shape
                missing = np.full(shape, np.nan, np.float32)
                self._values[name].append(missing if prediction.error is not None else prediction.outputs[name])

    def write(self, file: BinaryIO) -> None:
        arrays = {"names": np.array(self._names, dtype=str), "errors": np.array(self._errors, dtype=str)}
        for name, feature in self._outputs.items():
            width = (len(feature.names),) if feature.kind == "label" else feature.shape
            values = np.array(self._values[name], np.float32).reshape(-1, *width)
            if feature.kind == "label":
                arrays |= {"probabilities": values, "class_names": np.array(feature.names, dtype=str)}
            else:
                arrays[name] = values
        np.savez(file, **arrays)  # type: ignore[arg-type]
