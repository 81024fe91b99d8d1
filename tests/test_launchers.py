"""Hydra's own sweeper still works, with another launcher too: what `-m hydra/sweeper=basic` promises."""

import pytest


@pytest.mark.slow
def test_joblib_runs_jobs_at_once_and_a_failed_one_gives_an_exit_code(command, fast):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install hydra-joblib-launcher")
    stock = ["hydra/sweeper=basic", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    small = ["trainer.epochs=1", "tracking=none", "model.activation=linear"]
    ended = command("train", "-m", *stock, *fast, *small, "optimizer.learning_rate=0.01,1e30")
    assert "accuracy" in ended.stdout
    assert ended.stderr.count("Error: the loss is") == 1
    assert ended.returncode == 1


def test_a_launcher_needs_hydras_own_sweeper(command, fast):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install hydra-joblib-launcher")
    ended = command("train", "-m", "hydra/launcher=joblib", *fast, "seed=0,1")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "hydra/sweeper=basic" in ended.stderr
