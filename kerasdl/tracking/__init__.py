"""All of MLflow: the store, the run of an experiment, and reading runs back.

Importing this package doesn't import MLflow, which takes two seconds: that happens on the tracker's worker thread or
inside the functions that need it. Nothing else in the project imports MLflow.
"""

from kerasdl.tracking.checks import Away
from kerasdl.tracking.listener import TrackingListener
from kerasdl.tracking.mlflow_tracker import MlflowTracker
from kerasdl.tracking.no_tracker import NoTracker
from kerasdl.tracking.store import Store, locate, open_store

Tracker = MlflowTracker | NoTracker

__all__ = [
    "Away",
    "MlflowTracker",
    "NoTracker",
    "Store",
    "Tracker",
    "TrackingListener",
    "create",
    "locate",
    "open_store",
]


def create(config) -> Tracker:
    """Returns the tracker that `tracking.backend` ("mlflow" or "none") names; nothing is opened or written yet.

    Args:
        config: has `tracking` and `paths` (`kerasdl.config.schema.Config`).
    """
    return NoTracker() if config.tracking.backend == "none" else MlflowTracker(config)
