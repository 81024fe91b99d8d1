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
    from mlflow.entities import LoggedModel

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


class Upload:
    """Uploads what `save` wrote, as the output "model" of a run; a call that failed may be repeated."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._logged: LoggedModel | None = None

    def __call__(self, client: "MlflowClient", run_id: str, experiment_id: str) -> None:
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        if self._logged is None:
            self._logged = client.create_logged_model(experiment_id, name=MODEL_NAME, source_run_id=run_id)
        description = Model.load(str(self._folder))
        description.model_id = description.model_uuid = self._logged.model_id
        description.artifact_path = self._logged.artifact_location
        description.save(str(self._folder / "MLmodel"))
        client.log_model_artifacts(self._logged.model_id, str(self._folder))
        client.finalize_logged_model(self._logged.model_id, "READY")
        # Last, so that a run never has a model whose files are missing.
        client.log_outputs(run_id, models=[LoggedModelOutput(self._logged.model_id, step=0)])
