"""The formats, one line each: the name of the file, what writes it, and what loads it again.

Each format is a module with `write`, `load` and a code sample; `endpoint` is the compiled function that most of them
are made from. Nothing here imports TensorFlow, so that the command line can list the formats at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kerasdl.export.formats import keras_file, litert, litert_int8, onnx_file, savedmodel
from kerasdl.export.source import Classify, Source


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: as in `format=`.
        path: of the file or folder in the export.
        title: what it is, in words.
        write: writes it.
        load: loads it in the runtime that it is for.
        sample: how a program uses it, with `images` in and `probabilities` out.
        missing: returns the packages that it needs and that aren't installed.
    """

    name: str
    path: str
    title: str
    write: Callable[[Source, Path], None]
    load: Callable[[Path], Classify]
    sample: str
    missing: Callable[[], list[str]] = list


def _litert(name: str, path: str, title: str, write: Callable[[Source, Path], None]) -> Format:
    return Format(name, path, title, write, litert.load, litert.SAMPLE)


FORMATS = (
    Format("keras", "model.keras", "Keras 3", keras_file.write, keras_file.load, keras_file.SAMPLE),
    Format("savedmodel", "saved_model", "TensorFlow SavedModel", savedmodel.write, savedmodel.load, savedmodel.SAMPLE),
    _litert("litert", "model.tflite", "LiteRT, float32", litert.write),
    _litert("litert_fp16", "model_fp16.tflite", "LiteRT, float16 weights", litert.write_fp16),
    _litert("litert_int8", "model_int8.tflite", "LiteRT, 8-bit integers", litert_int8.write),
    Format("onnx", "model.onnx", "ONNX", onnx_file.write, onnx_file.load, onnx_file.SAMPLE, onnx_file.missing),
)
