"""The best model of many runs, under a name that stays: `models:/<name>@best` in MLflow's model registry."""

from kerasdl.errors import TrackingError
from kerasdl.tracking.store import Store

ALIAS = "best"


def register_best(store: Store, name: str, run_id: str) -> str | None:
    """Gives the model that a run logged last the alias `best` of the registered model `name`.

    May be repeated: a model that is registered isn't registered again.

    Args:
        store: has the run.
        name: of the registered model, made if there is none.
        run_id: MLflow's.

    Returns:
        The model's address, `models:/<name>@best`; None if the run has no model.

    Raises:
        TrackingError: MLflow can't do it; says why.
    """
    client = store.connect()
    from mlflow.exceptions import MlflowException

    try:
        outputs = client.get_run(run_id).outputs
        models = sorted(outputs.model_outputs, key=lambda output: output.step) if outputs else []
        if not models:
            return None
        # The place itself: an address such as models:/<id> MLflow would look up in the environment's store.
        source = client.get_logged_model(models[-1].model_id).artifact_location
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        versions = client.search_model_versions(f"name = '{name}'")
        known = [version for version in versions if version.run_id == run_id and version.source == source]
        version = known[0] if known else client.create_model_version(name, source, run_id, model_id=models[-1].model_id)
        client.set_registered_model_alias(name, ALIAS, version.version)
    except (MlflowException, OSError) as error:
        raise TrackingError(f"the model of run {run_id} couldn't be registered as {name}: {error}") from error
    return f"models:/{name}@{ALIAS}"
