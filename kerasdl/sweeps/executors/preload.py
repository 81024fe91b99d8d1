"""Imported once, by the process that trials are forked from: what each trial would otherwise import and look up.

Nothing here may start a thread, which a fork would lose, or touch a device. TensorFlow does both at its first
operation, not when it is imported.
"""

import ctypes
import gc
import importlib
import io
import os
import signal

from kerasdl.sweeps.executors.local import SWEEP_PROCESS
from kerasdl.tracking.store import import_mlflow
from kerasdl.training.runtime import import_tensorflow

_MODULES = (
    "keras",
    "mlflow.keras",
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.datasets",
    "tensorflow_datasets",
    "kerasdl.data.loading",
    "kerasdl.data.resident",
    "kerasdl.experiment.running",
    "kerasdl.tasks.classification",
    "kerasdl.tracking.recorder",
    "kerasdl.training.loop",
    "kerasdl.training.trainer",
)


def _end_with_sweep() -> None:
    """Lets the system end this process as soon as the sweep's dies; it would notice only after its imports.

    Forks don't inherit this: trials save their state first (`worker`).
    """
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != int(os.environ.get(SWEEP_PROCESS, os.getppid())):
        os._exit(1)  # the sweep has died already


def _look_up() -> None:
    """Fills caches that forks inherit: fonts, installed packages. They are almost a second of a trial's time."""
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
# Keeps a trial's garbage collector from searching, and so copying, what it inherits: a fifth of a short trial's time.
gc.collect()
gc.freeze()
