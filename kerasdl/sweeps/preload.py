"""Imported once by the process that trials are forked from: what every trial would import for itself, for 6 s.

Nothing here may start a thread that a fork would lose, nor touch a device; TensorFlow does both with its first
operation and not with its import.
"""

import importlib

from kerasdl.tracking.store import import_mlflow
from kerasdl.training.runtime import import_tensorflow

import_tensorflow()
import_mlflow()
for name in (
    "keras",
    "matplotlib.figure",
    "mlflow.keras",
    "mlflow.models",
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.datasets",
    "tensorflow_datasets",
    "kerasdl.assembly",
    "kerasdl.analysis.confusion",
    "kerasdl.analysis.curves",
    "kerasdl.data.loading",
    "kerasdl.experiment",
    "kerasdl.tracking.recording",
    "kerasdl.tracking.sender",
    "kerasdl.training.loop",
    "kerasdl.training.trainer",
):
    importlib.import_module(name)
