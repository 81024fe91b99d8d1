"""A trained Keras model as an MLflow model: saved to a folder, then uploaded and tied to its run.

`mlflow.keras.log_model` does both at once, through MLflow's global state (active run, tracking address), which belongs
to the user of a notebook. The same steps, taken through an explicit client, leave that alone, and let saving happen on
the thread that owns the model and the upload on another.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np
    from mlflow import MlflowClient

MODEL_NAME = "model"


def save(model: "keras.Model", example: "np.ndarray", folder: Path, run_id: str) -> None:
    """Saves `model` in MLflow's format.

    Args:
        model: takes images as in `example`, returns class probabilities, float [n, classes].
        example: uint8 [n, H, W, C], n >= 1. Signature and input example are taken from it.
        folder: an empty directory.
        run_id: the run that trained the model.
    """
    import keras
    import mlflow.keras
    import numpy as np
    import tensorflow as tf
    from mlflow.models import Model, infer_signature

    probabilities = keras.ops.convert_to_numpy(model(example, training=False))
    mlflow.keras.save_model(
        model,
        str(folder),
        mlflow_model=Model(run_id=run_id),
        signature=infer_signature(example, probabilities),
        input_example=example[:1],
        # Named here, because MLflow would find them out by loading the model in another process: 9 s.
        pip_requirements=[
            f"mlflow=={mlflow.__version__}",
            f"tensorflow=={tf.__version__}",
            f"keras=={keras.__version__}",
            f"numpy=={np.__version__}",
        ],
    )


def upload(client: "MlflowClient", folder: Path, run_id: str, experiment_id: str) -> None:
    """Uploads what `save` wrote, as the output "model" of the run."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    logged = client.create_logged_model(experiment_id, name=MODEL_NAME, source_run_id=run_id)
    client.log_outputs(run_id, models=[LoggedModelOutput(logged.model_id, step=0)])
    try:
        description = Model.load(str(folder))
        description.model_id = description.model_uuid = logged.model_id
        description.artifact_path = logged.artifact_location
        description.save(str(folder / "MLmodel"))
        client.log_model_artifacts(logged.model_id, str(folder))
    except Exception:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
