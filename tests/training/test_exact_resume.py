"""A run that is stopped and resumed ends with the same bits as one that wasn't: every part of the state, one process.

Real processes and real signals are in `tests/test_killed.py`; here runs end by an exception, wherever a test wants it.
"""

import re
import shutil

import numpy as np
import pytest

from kerasdl import compose, data, run
from kerasdl.errors import ResumeError, TrackingError, TrainingError
from kerasdl.experiment import running
from kerasdl.runs import folders
from kerasdl.tracking import Away, NoTracker, open_store
from kerasdl.training.checkpoints import Checkpoints

WALL_CLOCK = ("examples_per_second", "seconds")


@pytest.fixture(scope="module")
def one_epoch(fast, tmp_path_factory):
    """A finished run of one epoch: its output directory and its result."""
    output_dir = tmp_path_factory.mktemp("one_epoch") / "mlruns"
    return output_dir, run(compose([*fast, f"paths.output_dir={output_dir}", "tracking=none", "trainer.epochs=1"]))


@pytest.fixture
def first(one_epoch, tmp_path):
    """The result of that run, of which a copy is where `config` has its runs."""
    output_dir, result = one_epoch
    shutil.copytree(output_dir, tmp_path / "mlruns")
    return result


class Stopped(BaseException):
    """What ends a run in these tests, as abruptly as one process can."""


@pytest.fixture
def stop_at(monkeypatch):
    """Makes the next run end when the calls of the loop have done so many steps."""
    from kerasdl.experiment.terminal import Display

    on_call = Display.on_call

    def stop(step):
        def stopping(self, epoch, at, metrics):
            on_call(self, epoch, at, metrics)
            if step is not None and at >= step:
                raise Stopped

        monkeypatch.setattr(Display, "on_call", stopping)

    return stop


@pytest.fixture
def final_state():
    """Returns what the last checkpoint of the only run in an output directory holds, without times."""

    def read(conf):
        (folder,) = folders(conf.paths.output_dir)
        snapshot = Checkpoints(folder.checkpoints, 1).newest()
        values = snapshot.values
        for name in WALL_CLOCK:
            values["epochs"].pop(name)
        for tally in ("epoch_tally", "interval_tally"):
            values[tally].pop("seconds")
        return snapshot.arrays, values

    return read


@pytest.fixture
def check_exact(config, stop_at, final_state, tmp_path):
    """Compares a run with one that is stopped behind several steps and resumed."""

    def check(*overrides, stops=(5, 30, 41, 60), every="7steps", epochs=2):
        overrides = [f"trainer.checkpoint.every={every}", f"trainer.epochs={epochs}", *overrides]
        whole = config(*overrides, f"paths.output_dir={tmp_path}/whole")
        cut = config(*overrides, f"paths.output_dir={tmp_path}/cut", "resume=auto")
        expected = run(whole)
        for stop in stops:
            stop_at(stop)
            with pytest.raises(Stopped):
                run(cut)
        stop_at(None)
        result = run(cut)
        arrays, values = final_state(whole)
        cut_arrays, cut_values = final_state(cut)
        assert arrays.keys() == cut_arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, cut_arrays[name], name, strict=True)
        assert values == cut_values
        tests = [name for name in expected.metrics if name.startswith("test_")]
        assert [result.metrics[name] for name in tests] == [expected.metrics[name] for name in tests]
        for before, after in zip(expected.model.get_weights(), result.model.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
        return expected, arrays, values

    return check


EVERYTHING = (
    "model=layers",
    "model.layers=[{_target_: keras.layers.Conv2D, filters: 8, kernel_size: 3},"
    "{_target_: keras.layers.BatchNormalization},{_target_: keras.layers.ReLU},"
    "{_target_: keras.layers.Dropout, rate: 0.3},{_target_: keras.layers.Flatten}]",
    "data.augmentation.shift=0.1",
    "data.augmentation.rotation=10",
    "optimizer=adam",
    "optimizer.use_ema=true",
    "optimizer.ema_momentum=0.9",
    "optimizer.gradient_accumulation_steps=3",
    "trainer.precision=mixed_float16",
    "schedule=cosine",
    "schedule.warmup=0.5",
    "trainer.validate_every=10steps",
    "callbacks=[early_stopping,reduce_on_plateau,best_model]",
    "callbacks.reduce_on_plateau.patience=1",
    "callbacks.reduce_on_plateau.min_delta=100",
)


def test_everything_at_once_in_memory(check_exact):
    _, arrays, values = check_exact(*EVERYTHING, epochs=3, stops=(3, 30, 44, 82, 85, 120))
    # What has to be in it, is in it.
    assert any("seed_generator_state" in name for name in arrays)
    assert any("moving_mean" in name for name in arrays)
    assert sum(name.startswith("callbacks/0/best_weights") for name in arrays) > 4
    counters = {callback["class"]: callback["state"] for callback in values["callbacks"]}
    assert counters["ReduceLROnPlateau"]["best"] is not None
    assert values["validated_at"] == 120
    assert arrays["loop/learning_rate_scale"] < 1


def test_everything_at_once_streamed(check_exact):
    check_exact(*EVERYTHING, "data.memory_budget=1KB", "data.shuffle_window=300", stops=(30, 50))


def test_adversarial_training(check_exact):
    """Stopped while the budget rises."""
    check_exact(
        "model.filters=[8]", "model.kernel_sizes=[3]", "model.dense_units=16", "model.dropout=0.3",
        "trainer.adversarial.epsilon=0.1", "trainer.adversarial.steps=2", "trainer.adversarial.warmup=1", stops=(20,),
    )  # fmt: skip


def test_a_finished_run_can_be_prolonged_as_if_it_had_never_ended(config, final_state, tmp_path):
    overrides = ("model.dropout=0.3", "optimizer.use_ema=true", "callbacks=best_model", "optimizer.learning_rate=0.1")
    long = config(*overrides, "trainer.epochs=4", f"paths.output_dir={tmp_path}/long")
    expected = run(long)
    place = f"paths.output_dir={tmp_path}/short"
    short = run(config(*overrides, "trainer.epochs=2", place))
    prolonged = config(*overrides, "trainer.epochs=4", place, f"resume={short.resume_id}")
    result = run(prolonged)
    for before, after in zip(final_state(long)[0].values(), final_state(prolonged)[0].values(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert result.history["val_loss"] == expected.history["val_loss"]
    assert result.metrics["test_loss"] == expected.metrics["test_loss"]
    assert result.config_hash == expected.config_hash
    with pytest.raises(ResumeError, match="is finished, after 4 epochs"):
        run(prolonged)


def test_an_early_stop_stays_one_when_resumed(config, tmp_path):
    overrides = ("callbacks=early_stopping", "callbacks.early_stopping.patience=1", "trainer.epochs=9",
                 "callbacks.early_stopping.min_delta=100")  # fmt: skip
    first = run(config(*overrides))
    assert len(first.history["loss"]) == 2
    prolonged = run(config(*overrides, "trainer.epochs=12", f"resume={first.resume_id}"))
    assert prolonged.history["loss"] == first.history["loss"]
    assert prolonged.metrics["test_loss"] == first.metrics["test_loss"]


DIVERGES = ("optimizer.learning_rate=5", "model.activation=linear", "optimizer.momentum=0.9",
            "trainer.checkpoint.every=3steps")  # fmt: skip


def test_nan_goes_back_with_a_smaller_learning_rate(config, capsys):
    result = run(config(*DIVERGES, "trainer.on_nan=rollback", "trainer.rollback.factor=0.01"))
    told = capsys.readouterr().err
    assert "the loss is" in told
    assert "with the learning rate times 0.01 (rollback 1 of 3)" in told
    assert result.history["learning_rate"][-1] == pytest.approx(5 * 0.01, rel=1e-5)
    assert result.metrics["test_accuracy"] > 0.5


def test_nan_stops_when_going_back_does_not_help(config):
    with pytest.raises(TrainingError, match=r"the loss is .* at step \d+ .* after 2 rollbacks\. The last good"):
        run(config(*DIVERGES, "trainer.on_nan=rollback", "trainer.rollback.factor=0.99", "trainer.rollback.limit=2"))


def test_nan_rollbacks_are_exact_too(check_exact):
    check_exact(*DIVERGES, "trainer.on_nan=rollback", "trainer.rollback.factor=0.01", every="3steps", stops=(2, 20, 50))


def test_nan_stop_names_the_batch_and_keeps_the_last_good_checkpoint(config, tmp_path):
    conf = config(*DIVERGES, "trainer.checkpoint.every=1steps")
    with pytest.raises(TrainingError, match="The last good checkpoint is at step") as error:
        run(conf)
    (folder,) = folders(conf.paths.output_dir)
    snapshot = Checkpoints(folder.checkpoints, 1).newest()
    assert f"is at step {snapshot.step}." in str(error.value)
    assert all(np.isfinite(array).all() for name, array in snapshot.arrays.items() if name.startswith("model/"))
    step, batch = map(int, re.search(r"at step (\d+) \(epoch 1, batch (\d+)", str(error.value)).groups())
    assert step == batch - 1 > snapshot.step
    named = re.search(r"Training examples of the batch: ([\d, ]+)\.", str(error.value))[1].split(", ")
    examples = data.load(conf.data, conf.seed, conf.paths.cache_dir).train
    np.testing.assert_array_equal(np.array(named, int), examples.indices(0, step))


def test_a_run_of_another_version_is_refused_and_stays_as_it_was(config, monkeypatch):
    with monkeypatch.context() as patch:
        for module in ("checkpoint_file", "checkpoints"):
            patch.setattr(f"kerasdl.training.{module}.FORMAT", 2)
        first = run(config("trainer.epochs=1"))
    (folder,) = folders(config().paths.output_dir)
    files = {path.name: path.read_bytes() for path in folder.checkpoints.iterdir()}
    assert files
    with pytest.raises(ResumeError, match=r"has format 2, and this version of kerasdl reads format 1\."):
        run(config("trainer.epochs=2", f"resume={first.resume_id}"))
    assert {path.name: path.read_bytes() for path in folder.checkpoints.iterdir()} == files
    (folder,) = folders(config().paths.output_dir)
    assert (folder.record.status, folder.record.config["trainer"]["epochs"]) == ("FINISHED", 1)


def test_other_data_is_refused(config, first, monkeypatch):
    from kerasdl.experiment import record

    environment = record._environment
    monkeypatch.setattr(record, "_environment", lambda experiment: {**environment(experiment), "data": "another"})
    with pytest.raises(ResumeError, match="was trained on other data: .*data was sha256-[0-9a-f]{24}, is another"):
        run(config("trainer.epochs=2", f"resume={first.resume_id}"))


@pytest.mark.parametrize("is_same", [True, False])
def test_a_run_that_recorded_the_former_fingerprint_is_compared_by_it(config, monkeypatch, capsys, is_same):
    from kerasdl.experiment import record

    environment = record._environment

    def former(experiment):
        digits = experiment.data.info.former_fingerprint if is_same else "0123456789abcdef"
        known = environment(experiment)
        return {name: known[name] for name in known if name != "decoder"} | {"data": digits}

    with monkeypatch.context() as patch:
        patch.setattr(record, "_environment", former)
        first = run(config())
    longer = config(f"resume={first.resume_id}", "trainer.epochs=3")
    if is_same:
        assert run(longer).steps == first.steps * 3 // 2
        assert "may differ" not in capsys.readouterr().err
    else:
        with pytest.raises(ResumeError, match="was trained on other data: data was 0123456789abcdef, is sha256-"):
            run(longer)


def test_other_circumstances_are_told(config, first, monkeypatch, capsys):
    from kerasdl.experiment import record

    environment = record._environment
    monkeypatch.setattr(record, "_environment", lambda experiment: {**environment(experiment), "keras": "9.9"})
    run(config("trainer.epochs=2", f"resume={first.resume_id}"))
    assert "may differ in its last bits" in capsys.readouterr().err


def test_a_refused_resume_leaves_the_run_as_it_was(config, first, monkeypatch):
    wider = config("trainer.epochs=2", "model.filters=[16,16]")
    wider.resume = first.resume_id
    with pytest.raises(ResumeError, match=r"model.filters was \[32, 64\], is \[16, 16\]"):
        run(wider)
    # The same configuration, but the code that builds the network is another.
    build = running.build_task
    monkeypatch.setattr(running, "build_task", lambda config, *args: build(wider, *args))
    with pytest.raises(
        ResumeError, match=r"classifier/0000/kernel had shape \(3, 3, 1, 32\) and now has \(3, 3, 1, 16\)"
    ):
        run(config("trainer.epochs=2", f"resume={first.resume_id}"))
    monkeypatch.undo()
    (folder,) = folders(wider.paths.output_dir)
    assert folder.record.status == "FINISHED"
    run(config("trainer.epochs=2", f"resume={first.resume_id}"))


def test_tensorboards_callback_goes_on(check_exact, tmp_path):
    """A callback that hooks every batch and holds open files."""
    check_exact("callbacks=tensorboard", f"callbacks.tensorboard.log_dir={tmp_path}/logs", stops=(30, 50))


def test_a_deleted_experiment_is_refused_before_data_are_loaded(config, monkeypatch):
    first = run(config("trainer.epochs=1", "tracking.system_metrics=false", tracking="mlflow"))
    prolonged = config("trainer.epochs=2", f"resume={first.resume_id}", tracking="mlflow")
    client = open_store(prolonged)
    client.delete_experiment(client.get_run(first.run_id).info.experiment_id)
    monkeypatch.setattr(running.data, "load", lambda *_: pytest.fail("training has begun"))
    for conf in (prolonged, config(tracking="mlflow")):
        with pytest.raises(TrackingError, match="must name an experiment that isn't deleted"):
            run(conf)
    (folder,) = folders(prolonged.paths.output_dir)
    assert (folder.record.status, folder.record.config["trainer"]["epochs"]) == ("FINISHED", 1)


def test_only_a_run_that_goes_on_waits_for_a_server_and_for_nothing_else(config, first, monkeypatch, capsys):
    says = {}

    def check(self, run_id=None):
        raise says["error"]

    monkeypatch.setattr(NoTracker, "check", check)
    says["error"] = Away("no answer")
    with pytest.raises(Away):
        run(config())
    run(config("trainer.epochs=2", f"resume={first.resume_id}"))
    assert "Warning: no answer" in capsys.readouterr().err
    says["error"] = TrackingError("deleted")
    with pytest.raises(TrackingError, match="deleted"):
        run(config("trainer.epochs=3", f"resume={first.resume_id}"))


def test_a_store_that_refuses_leaves_the_run_as_it_was(config, first, monkeypatch):
    prolonged = config("trainer.epochs=2", f"resume={first.resume_id}")

    def refuses(*args, **kwargs):
        raise TrackingError("another store")

    monkeypatch.setattr(NoTracker, "start", refuses)
    with pytest.raises(TrackingError, match="another store"):
        run(prolonged)
    (folder,) = folders(prolonged.paths.output_dir)
    assert (folder.record.status, folder.record.config["trainer"]["epochs"]) == ("FINISHED", 1)
    monkeypatch.undo()
    assert len(run(prolonged).history["loss"]) == 2
