"""The formats, one line each: the name of the file, what writes it, and what loads it again.

Each format is a module with `write`, `load` and a code sample; `endpoint` is the compiled function that most of them
are made from. Nothing here imports TensorFlow, so that the command line can list the formats at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasdl.export.formats import keras_file, litert, litert_int8, onnx_file, savedmodel
from kerasdl.export.samples import Names
from kerasdl.export.source import Predict, Source


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: as in `format=`.
        path: of the file or folder in the export.
        title: what it is, in words.
        write: writes it.
        load: loads it in the runtime that it is for.
        sample: from the path and the names of inputs and outputs to Python that applies the model to an example.
        missing: returns the packages that it needs and that aren't installed.
        unsuited: returns why a model can't be written in it; "" if it can.
    """

    name: str
    path: str
    title: str
    write: Callable[[Source, Path], None]
    load: Callable[[Path, Names], Predict]
    sample: Callable[[str, Names], str]
    missing: Callable[[], list[str]] = list
    unsuited: Callable[[Source], str] = lambda source: ""


def _litert(name: str, path: str, title: str, write: Callable[[Source, Path], None], **more: Any) -> Format:
    return Format(name, path, title, write, litert.load, litert.sample, **more)


FORMATS = (
    Format("keras", "model.keras", "Keras 3", keras_file.write, keras_file.load, keras_file.sample),
    Format("savedmodel", "saved_model", "TensorFlow SavedModel", savedmodel.write, savedmodel.load, savedmodel.sample),
    _litert("litert", "model.tflite", "LiteRT, float32", litert.write),
    _litert("litert_fp16", "model_fp16.tflite", "LiteRT, float16 weights", litert.write_fp16),
    _litert(
        "litert_int8", "model_int8.tflite", "LiteRT, 8-bit integers", litert_int8.write, unsuited=litert_int8.unsuited
    ),
    Format("onnx", "model.onnx", "ONNX", onnx_file.write, onnx_file.load, onnx_file.sample, onnx_file.missing),
)
