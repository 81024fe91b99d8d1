"""Imported once by the process that trials are forked from: what every trial would import and look up for itself.

Nothing here may start a thread that a fork would lose, nor touch a device; TensorFlow does both with its first
operation and not with its import.
"""

import ctypes
import gc
import importlib
import io
import os
import signal

from kerasdl.sweeps.processes import SWEEP_PROCESS
from kerasdl.tracking.store import import_mlflow
from kerasdl.training.runtime import import_tensorflow

_MODULES = (
    "keras",
    "mlflow.keras",
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.datasets",
    "tensorflow_datasets",
    "kerasdl.assembly",
    "kerasdl.data.loading",
    "kerasdl.experiment",
    "kerasdl.tracking.recorder",
    "kerasdl.training.loop",
    "kerasdl.training.trainer",
)


def _end_with_sweep() -> None:
    """Lets the system end this process at once when the sweep's dies, which it would notice only behind its imports.

    Forks don't inherit this: trials save their state first (`worker`).
    """
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != int(os.environ.get(SWEEP_PROCESS, os.getppid())):
        os._exit(1)  # it has died already


def _look_up() -> None:
    """Fills caches that a fork hands on: fonts, installed packages. Almost a second of a trial's time."""
    import numpy as np

    from kerasdl.figures.confusion import confusion_matrix
    from kerasdl.figures.learning_curves import learning_curves
    from kerasdl.tracking import environment, logged_model

    learning_curves({"loss": [1.0, 0.5], "val_loss": [1.0, 0.5]}).savefig(io.BytesIO())
    confusion_matrix(np.eye(2, dtype=int), ["a", "b"]).savefig(io.BytesIO())
    environment.requirements()
    logged_model.look_up_packages()


_end_with_sweep()
import_tensorflow()
import_mlflow()
for name in _MODULES:
    importlib.import_module(name)
_look_up()
# A trial's garbage collector needn't search, and so copy, what the trial has inherited: a fifth of its time if short.
gc.collect()
gc.freeze()
