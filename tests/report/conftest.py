"""A trained run in a store of these tests' own, with what commands would have kept with it."""

import shutil
from types import SimpleNamespace

import pytest

from kerasdl.config.composition import place
from kerasdl.tracking import lookup

HOSTILE = "</td><script>alert('x')</script><img src=x onerror=alert(1)>\" onload=\"alert(2) {{ 7*7 }}"


@pytest.fixture(scope="module")
def reported(trained_run, tmp_path_factory):
    """A run with all that the trained one has, and further files, tags and metrics, in a copy of its store.

    Another run, since MLflow remembers for a whole process where a run's files are.
    """
    from matplotlib.figure import Figure
    from mlflow.entities import Param, RunTag

    output_dir = tmp_path_factory.mktemp("reported") / "mlruns"
    shutil.copytree(trained_run.output_dir, output_dir)
    config = place({"paths.output_dir": str(output_dir)})
    trained = lookup.find(config, trained_run.id)
    client, old = trained.client, trained.client.get_run(trained_run.id)
    experiment = client.create_experiment("reported", artifact_location=str(output_dir / "reported"))
    run_id = client.create_run(experiment, run_name="reported-run-1").info.run_id
    client.log_batch(
        run_id,
        metrics=[point for name in old.data.metrics for point in client.get_metric_history(trained.run.id, name)],
        params=[Param(*item) for item in old.data.params.items()],
        tags=[RunTag(*item) for item in old.data.tags.items() if item[0] != "mlflow.runName"],
    )
    client.log_inputs(run_id, old.inputs.dataset_inputs)
    client.log_outputs(run_id, old.outputs.model_outputs)
    client.log_artifacts(run_id, old.info.artifact_uri)
    client.set_terminated(run_id)
    artifacts = lookup.find(config, run_id).artifacts
    for path in ("evaluate/test/reliability.png", "explain/gradcam/sheet.png", "robustness/curves.png", "mine.png"):
        figure = Figure(figsize=(0.5, 0.4), dpi=60)
        figure.text(0, 0, path[:3])
        artifacts.figure(figure, path)
    artifacts.text("broken, and no picture", "explain/broken.png")
    rows = "".join(f"{i},{i / 7!r},{HOSTILE if i == 3 else 'fine'}\n" for i in range(60))
    artifacts.text(f"class,recall,note\n{rows}", "evaluate/test/classes.csv")
    artifacts.text(f"# Model card\n\n{HOSTILE}", "export/README.md")
    artifacts.text("", "predictions/empty.csv")
    artifacts.text("ours", "mine.txt")
    artifacts.text("<html>an older page</html>", "report/report.html")
    artifacts.metrics({"evaluate/test/loss": 0.25, "robustness/pgd": 0.125})
    artifacts.tags({"mlflow.note.content": HOSTILE, "host": HOSTILE, "kerasdl.sweep": HOSTILE})
    return SimpleNamespace(found=lookup.find(config, run_id), id=run_id, output_dir=output_dir)
