"""Files into an artifact store, by the address that the run or the model has now.

MLflow's client remembers for the whole process where a run's files go, by the run's id alone. A copied store has the
same ids, so that what belongs to the copy would go to the original.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient


def upload(client: "MlflowClient", address: str, source: Path, folder: str | None = None) -> None:
    """Puts a file, or all that is in a directory, into a folder of an artifact store.

    Args:
        client: of the tracking store.
        address: where a run's or a model's artifacts are (`artifact_uri`, `artifact_location`).
        source: the file or directory.
        folder: below `address`; None: right there.

    Raises:
        Exception: whatever MLflow or the store raises; `kerasdl.tracking.failures` knows them.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(address, tracking_uri=client.tracking_uri)
    if source.is_dir():
        repository.log_artifacts(str(source), folder)
    else:
        repository.log_artifact(str(source), folder)
