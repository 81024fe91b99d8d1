"""A network's answers on pictures: `predicting` gets them, `formats` writes them as a table, CSV or JSON lines."""

from kerasdl.predictions.formats import FORMATS, Csv, Format, JsonLines, Table, encoded, printable
from kerasdl.predictions.predicting import Prediction, compiled, in_batches, predict

__all__ = [
    "FORMATS",
    "Csv",
    "Format",
    "JsonLines",
    "Prediction",
    "Table",
    "compiled",
    "encoded",
    "in_batches",
    "predict",
    "printable",
]
