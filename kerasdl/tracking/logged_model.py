"""A trained Keras model as an MLflow model: saved to a folder, then uploaded and tied to its run.

`mlflow.keras.log_model` does both at once, through MLflow's global state (active run, tracking address), which belongs
to the user of a notebook. The same steps, taken through an explicit client, leave that state alone. The model is saved
on the thread that owns it and uploaded on another.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from kerasdl.errors import TrackingError
from kerasdl.tracking.artifacts import upload
from kerasdl.tracking.failures import one_line, translated

if TYPE_CHECKING:
    import keras
    import numpy as np
    from mlflow import MlflowClient

    from kerasdl.tracking.lookup import Found, Model

# What a model takes: one array, or several by name.
Example = Union["np.ndarray", Mapping[str, "np.ndarray"]]

MODEL_NAME = "model"
ENTRY_TAG = "kerasdl.entry"


def look_up_packages() -> None:
    """Makes MLflow list the installed packages now, which takes 0.4 s, instead of when the first model is saved."""
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    warn_dependency_requirement_mismatches(["mlflow"])


def save(model: "keras.Model", example: Example, folder: Path, metadata: dict[str, Any] | None = None) -> None:
    """Saves `model` in MLflow's format.

    Args:
        model: takes what `example` is, and returns a tensor, or several by name.
        example: an array (n, ...) or several by name, n >= 1; gives MLflow's signature and input example.
        folder: an empty folder, or one that doesn't exist yet.
        metadata: facts for whoever loads it, e.g. the names of the classes; must fit into JSON.
    """
    import keras
    import mlflow.keras
    import numpy as np
    import tensorflow as tf
    from mlflow.models import infer_signature

    folder.mkdir(exist_ok=True)  # MLflow writes the example before it creates the folder
    outputs = keras.tree.map_structure(keras.ops.convert_to_numpy, model(example, training=False))
    mlflow.keras.save_model(
        model,
        str(folder),
        signature=infer_signature(example, outputs),
        input_example=keras.tree.map_structure(lambda values: values[:1], example),
        metadata=metadata,
        # Otherwise MLflow would find them out by loading the model in another process, which takes 9 s.
        pip_requirements=[
            f"mlflow=={mlflow.__version__}",
            f"tensorflow=={tf.__version__}",
            f"keras=={keras.__version__}",
            f"numpy=={np.__version__}",
        ],
    )


def attach(client: "MlflowClient", folder: Path, *, run_id: str, experiment_id: str, entry_id: str, step: int) -> None:
    """Uploads what `save` wrote, as the output "model" of a run; may be repeated after a try that failed anywhere.

    Args:
        client: of the store that has the run.
        folder: what `save` wrote; its `MLmodel` is completed.
        run_id: the run that trained the model.
        experiment_id: the run's experiment.
        entry_id: identifies the model for good, so that it isn't created twice.
        step: training step of the model.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    created = client.search_logged_models([experiment_id], f"tags.`{ENTRY_TAG}` = '{entry_id}'", max_results=1)
    logged = created[0] if created else client.create_logged_model(
        experiment_id, name=MODEL_NAME, source_run_id=run_id, tags={ENTRY_TAG: entry_id}
    )  # fmt: skip
    description = Model.load(str(folder))
    description.run_id = run_id
    description.model_id = description.model_uuid = logged.model_id
    description.artifact_path = logged.artifact_location
    description.save(str(folder / "MLmodel"))
    upload(client, logged.artifact_location, folder)
    client.finalize_logged_model(logged.model_id, "READY")
    # Last, so that a run never has a model without its files; looked up first, because MLflow would add it again.
    outputs = client.get_run(run_id).outputs
    if logged.model_id not in [output.model_id for output in (outputs.model_outputs if outputs else [])]:
        client.log_outputs(run_id, models=[LoggedModelOutput(logged.model_id, step=step)])


def load(found: "Found", model: "Model") -> "tuple[keras.Model, dict[str, Any]]":
    """Returns a logged model and the metadata that `save` was given.

    Only the Keras file is opened, in Keras's safe mode; MLflow itself would unpickle the file next to it.

    Raises:
        TrackingError: its files are missing or damaged.
    """
    import keras
    import mlflow.artifacts
    import yaml
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="kerasdl-") as temporary:
        with translated(found.store):
            try:
                local = mlflow.artifacts.download_artifacts(
                    artifact_uri=model.location, tracking_uri=found.store.uri, dst_path=temporary
                )
            except (MlflowException, OSError) as error:
                raise _unusable(found, model, error) from error
        folder = Path(local)
        try:
            description = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
            loaded = keras.models.load_model(folder / "data" / "model.keras", compile=False, safe_mode=True)
        except Exception as error:  # Keras raises almost anything for a damaged file
            raise _unusable(found, model, error) from error
    return loaded, description.get("metadata") or {}


def metadata(found: "Found", model: "Model") -> dict[str, Any]:
    """Returns the metadata that `save` was given, without the model.

    Raises:
        TrackingError: its files are missing or damaged.
    """
    import mlflow.artifacts
    import yaml
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="kerasdl-") as temporary, translated(found.store):
        try:
            local = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{model.location.rstrip('/')}/MLmodel", tracking_uri=found.store.uri, dst_path=temporary
            )
            return yaml.safe_load(Path(local).read_text(encoding="utf-8")).get("metadata") or {}
        except (MlflowException, OSError, yaml.YAMLError, AttributeError) as error:
            raise _unusable(found, model, error) from error


def _unusable(found: "Found", model: "Model", error: Exception) -> TrackingError:
    return TrackingError(
        f"the model of run {found.run.id} can't be used ({one_line(error)}). Its files are in {model.location}. "
        "Restore them, or name another run."
    )
