"""Which epoch is the best: one whose checkpoint is on disk and whose metric is a number, whatever fails meanwhile."""

import math

import numpy as np
import pytest

from kerasdl.config.cadence import cadence
from kerasdl.training.checkpoint_file import Snapshot
from kerasdl.training.checkpoints import Checkpointing, Checkpoints, newest
from kerasdl.training.pacing import Every
from kerasdl.training.progress import Progress

STEPS = 10


class Training:
    """Epochs of ten steps without a network: a value of the metric each, and one weight."""

    def __init__(self, folder, *, every="1epochs", keep=1, maximize=False):
        self.is_disk_full = False
        self.weight = 1.0
        self.progress = Progress({"loss": ()})
        self.checkpoints = Checkpoints(folder, keep, self._before)
        self.checkpointing = Checkpointing(self.checkpoints, Every(cadence(every, "every"), STEPS), "val_f1", maximize)
        if snapshot := self.checkpointing.newest():
            self.restore(snapshot)

    def _before(self):
        if self.is_disk_full:
            raise OSError(28, "No space left on device")

    def restore(self, snapshot):
        self.progress.restore(snapshot.arrays, snapshot.values)

    def capture(self):
        arrays, values = self.progress.state()
        return Snapshot({**arrays, "model/weight": np.array(self.weight)}, values, ("model/weight",))

    def epoch(self, value, *, is_disk_full=False, weight=1.0):
        self.progress.step += STEPS
        self.progress.end_epoch({"val_f1": value})
        self.is_disk_full, self.weight = is_disk_full, weight
        self.checkpointing.after_epoch(self, self.progress, {"val_f1": value})
        self.checkpoints.wait()
        self.is_disk_full, self.weight = False, 1.0

    def finish(self):
        self.checkpointing.finish(self, self.progress)


@pytest.fixture(autouse=True)
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr("kerasdl.training.checkpoints.warn", lines.append)
    return lines


def steps_of(folder):
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.npz"))


@pytest.mark.parametrize("failure", [{"is_disk_full": True}, {"weight": math.nan}])
@pytest.mark.parametrize("every", ["1epochs", "5epochs"])
def test_a_best_that_could_not_be_written_is_none_and_the_one_before_stays(tmp_path, failure, every):
    training = Training(tmp_path, every=every)
    training.epoch(0.5)
    training.epoch(0.3, **failure)
    training.epoch(0.4)  # better than what is on disk
    assert training.progress.best.step == 30
    training.epoch(0.6)
    training.finish()
    assert steps_of(tmp_path) == [30, 40]
    snapshot, _ = newest(tmp_path)
    assert snapshot.values["best"] == {"value": 0.4, "step": 30}


@pytest.mark.parametrize("failure", [{"is_disk_full": True}, {"weight": math.nan}])
def test_a_failed_best_does_not_cost_the_one_before_when_worse_epochs_follow(tmp_path, failure):
    training = Training(tmp_path)
    for value, how in ((0.5, {}), (0.3, failure), (0.9, {}), (0.8, {})):
        training.epoch(value, **how)
    assert steps_of(tmp_path) == [10, 40]
    assert vars(training.progress.best) == {"value": 0.5, "step": 10}


def test_a_failed_last_epoch_is_not_the_best_at_the_end(tmp_path):
    training = Training(tmp_path)
    training.epoch(0.5)
    training.epoch(0.3, weight=math.nan)
    training.finish()
    assert vars(training.progress.best) == {"value": 0.5, "step": 10}


def test_a_failed_first_epoch_is_followed_by_any_other(tmp_path):
    training = Training(tmp_path)
    training.epoch(0.1, is_disk_full=True)
    training.epoch(0.9)
    assert steps_of(tmp_path) == [20]
    assert vars(training.progress.best) == {"value": 0.9, "step": 20}


def test_the_snapshot_that_is_the_best_says_so_itself(tmp_path):
    training = Training(tmp_path)
    training.epoch(0.5)
    training.epoch(0.4)
    assert newest(tmp_path)[0].values["best"] == {"value": 0.4, "step": 20}
    assert vars(Training(tmp_path).progress.best) == {"value": 0.4, "step": 20}


@pytest.mark.parametrize("maximize", [False, True])
def test_not_a_number_is_never_the_best(tmp_path, maximize):
    training = Training(tmp_path, maximize=maximize)
    training.epoch(math.nan)
    assert training.progress.best is None
    for value in (0.5, math.nan, 0.5):
        training.epoch(value)
    assert training.progress.best.step == 20
    training.epoch(0.6 if maximize else 0.4)
    assert training.progress.best.step == 50


def test_not_a_number_that_an_earlier_version_took_for_the_best_is_forgotten(tmp_path):
    training = Training(tmp_path)
    training.epoch(0.5)
    training.progress.best.value = math.nan
    training.checkpointing.save(training, training.progress)
    training.checkpoints.wait()
    resumed = Training(tmp_path)
    assert resumed.progress.best is None
    resumed.epoch(7.0)
    assert resumed.progress.best.step == 20


def test_going_back_from_a_best_that_diverged_finds_the_best_before(tmp_path):
    """The loss right after the best epoch isn't finite."""
    training = Training(tmp_path, keep=2)
    for value in (0.5, 0.9, 0.8, 0.4):
        training.epoch(value)
    training.restore(training.checkpointing.last_good(41))
    assert training.progress.step == 30
    assert vars(training.progress.best) == {"value": 0.5, "step": 10}
    assert steps_of(tmp_path) == [10, 30]


def test_a_best_whose_checkpoint_is_gone_is_looked_for_anew(tmp_path, warnings):
    training = Training(tmp_path)
    training.epoch(0.5)
    training.epoch(0.9)
    (tmp_path / "step-0000000010.npz").unlink()
    resumed = Training(tmp_path)
    assert resumed.progress.best is None
    assert warnings == ["the best checkpoint, at step 10, is missing; from here on the best is determined anew."]
    resumed.epoch(0.8)
    assert resumed.progress.best.step == 30
