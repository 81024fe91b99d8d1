"""Kill the process anywhere, type the command again: the same bits, in the same MLflow run."""

import os

import pytest
from harness import soak, start, survive

DIGITS = ("data=digits", "data.batch_size=32", "trainer.epochs=4", "tracking.interval=10",
          "trainer.checkpoint.every=7steps", "trainer.steps_per_call=5")  # fmt: skip
LAYERS = (
    "model=layers",
    "model.layers=[{_target_: keras.layers.Conv2D, filters: 8, kernel_size: 3},"
    "{_target_: keras.layers.BatchNormalization},{_target_: keras.layers.ReLU},"
    "{_target_: keras.layers.Dropout, rate: 0.3},{_target_: keras.layers.Flatten}]",
)
EVERYTHING = (
    *LAYERS,
    "data.augmentation.shift=0.1",
    "optimizer=adam",
    "optimizer.use_ema=true",
    "optimizer.gradient_accumulation_steps=2",
    "trainer.precision=mixed_float16",
    "schedule=cosine",
    "trainer.validate_every=20steps",
    "callbacks=[early_stopping,reduce_on_plateau]",
    "callbacks.reduce_on_plateau.patience=1",
    "callbacks.reduce_on_plateau.min_delta=100",
)


@pytest.fixture
def report(record_property):
    """Takes a line that is shown at the end of the tests."""
    return lambda line: record_property("summary", str(line))


@pytest.mark.parametrize(
    ("seed", "more"),
    [
        pytest.param(0, (), id="in-memory", marks=pytest.mark.slow),
        pytest.param(1, ("data.memory_budget=1KB", "data.shuffle_window=300"), id="streamed"),
    ],
)
def test_killed_runs_end_like_one_left_in_peace(tmp_path, report, seed, more):
    summary = survive([*DIGITS, *EVERYTHING, *more], 3, seed, tmp_path)
    report(summary)
    assert len(summary.kills) >= 2  # a signal may come when the run has just ended
    assert (summary.differing, summary.differences) == (0, [])


@pytest.mark.slow
def test_the_harness_sees_what_differs(tmp_path):
    """It is no use if it can't fail: another seed must be noticed everywhere."""
    from harness import Summary, compare

    for seed in (0, 1):
        done = start(tmp_path / str(seed), [*DIGITS, *LAYERS, "trainer.epochs=1", f"seed={seed}"])
        assert done.wait(120) == 0
    summary = Summary()
    compare(tmp_path / "0", tmp_path / "1", summary)
    assert summary.differing > 0.5 * summary.weights
    assert "progress, history or callbacks" in summary.differences
    assert "MLflow's history of val_loss" in summary.differences
    assert "MLflow's history of examples_per_second" not in summary.differences


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_an_hour_on_mnist(report):
    minutes = float(os.environ.get("KERASDL_SOAK_MINUTES", "60"))
    overrides = ["data=mnist", "model=cnn", "trainer.epochs=2", "trainer.checkpoint.every=100steps"]
    assert soak(overrides, kills=10, seed=0, minutes=minutes, report=report) == 0
