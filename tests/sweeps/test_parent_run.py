"""What a sweep keeps in MLflow, and that running the same command again changes none of it."""

import re
import time

import mlflow
import pytest
from sweeping import client, mlflow_runs

from kerasdl.runs import RunFolder
from kerasdl.sweeps.parent_run import ParentRun, folder_of
from kerasdl.sweeps.trials import Objective

TRIAL = ("data=digits", "model=image_classifier", "data.batch_size=32", "tracking.system_metrics=false",
         "trainer.epochs=3", "sweep.jobs=2", "sweep.name=search")  # fmt: skip


def test_a_sweep_is_a_run_with_its_trials_as_children(make_sweep, command, tmp_path):
    """Two learning rates learn, one doesn't: it is pruned after its first epoch, because the others are better."""
    sweep = make_sweep("sweep", *TRIAL, "optimizer.learning_rate=0.1,0.05,1e-7", "sweep.pruner=median",
                       "sweep.pruning.startup_trials=2", "sweep.pruning.warmup=0", "sweep.jobs=1")  # fmt: skip
    typed = sweep.type()
    assert typed.wait() == 0, typed.output
    (parent,), children = mlflow_runs(sweep.results)
    by_name = {run.info.run_name: run for run in children}
    assert by_name.keys() == {"learning_rate=0.1", "learning_rate=0.05", "learning_rate=1e-07"}
    assert {name: run.data.tags["kerasdl.state"] for name, run in by_name.items()} == {
        "learning_rate=0.1": "FINISHED", "learning_rate=0.05": "FINISHED", "learning_rate=1e-07": "PRUNED"
    }  # fmt: skip
    pruned = by_name["learning_rate=1e-07"]
    assert (pruned.info.status, "test_accuracy" in pruned.data.metrics) == ("KILLED", False)
    assert re.search(r"trial 2 +PRUNED .*after epoch 1/3", typed.output)

    best = max(children, key=lambda run: run.data.metrics["val_accuracy"])
    assert parent.data.tags["kerasdl.best_run"] == best.info.run_id
    assert parent.data.tags["kerasdl.best"] == best.info.run_name
    assert parent.data.metrics["best_val_accuracy"] == best.data.metrics["val_accuracy"]
    assert parent.data.metrics["best_test_accuracy"] == best.data.metrics["test_accuracy"]
    assert parent.data.metrics["trials_done"] == 3
    assert parent.data.params["swept.optimizer.learning_rate"] == "0.1, 0.05, 1e-07"
    kept = {item.path for item in client(sweep.results).list_artifacts(parent.info.run_id)}
    assert kept >= {"trials.csv", "learning_curves.png", "optimization_history.png", "param_importances.png",
                    "parallel_coordinate.png", "slice.png", "config.yaml"}  # fmt: skip
    assert parent.data.tags["kerasdl.best_model"] == "models:/search@best"
    version = client(sweep.results).get_model_version_by_alias("search", "best")
    assert version.run_id == best.info.run_id
    assert mlflow.keras.load_model(version.source).output_shape == (None, 10)

    told = command("report", "sweep=search", f"paths.output_dir={sweep.results}")
    assert told.returncode == 0, told.stderr
    assert "1 pruned run is not counted." in told.stdout

    began = time.monotonic()
    again = sweep.type()
    assert again.wait() == 0, again.output
    assert "search: 3 trials, 3 of them done" in again.output
    assert f"parent     {parent.info.run_id}" in again.output
    (same,), children = mlflow_runs(sweep.results)
    assert (same.info.end_time, len(children)) == (parent.info.end_time, 3), "nothing was done, and nothing is new"
    assert time.monotonic() - began < 60


class Study:
    """As much of a study as the parent run needs."""

    def __init__(self, creator_lives):
        self._creator_lives = creator_lives
        self.asked = 0

    def was_created_by_another(self):
        return self._creator_lives

    def attribute(self, name):
        self.asked += 1
        return "0" * 32 if self.asked > 3 else None


@pytest.mark.parametrize("creator_lives", [True, False])
def test_only_a_living_creator_of_the_study_is_waited_for(composed, read, tmp_path, creator_lives, monkeypatch):
    """A sweep that was killed before its run was open must not wait for itself when it is run again."""
    folder = folder_of(tmp_path, "search", "kerasdl")
    folder.tracking.mkdir(parents=True)
    config = composed(f"paths.output_dir={tmp_path}", "model=cnn", "data=digits")[1]
    parent = ParentRun(config, "search", folder, [Objective("val_accuracy", True)])
    started = {}
    monkeypatch.setattr(parent.tracker, "start", lambda folder, **known: started.update(known, id=folder.record.run_id))
    study = Study(creator_lives)
    study.set_attribute = lambda name, value: None
    parent.start(study, read("seed=0,1"))
    if creator_lives:
        assert (started["id"], started["params"], started["resumed_at"]) == ("0" * 32, {}, 0)
    else:
        assert (started["id"], started["resumed_at"]) == (None, None)
        assert started["params"]["swept"] == {"seed": "0, 1"}
    assert RunFolder.open(folder.path).record.status == "RUNNING"
