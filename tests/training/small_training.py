"""A small training that goes where a test wants it, and how its snapshots are compared."""

import numpy as np

from kerasdl.training.checkpoints import read, write
from kerasdl.training.loop import TrainingLoop
from kerasdl.training.progress import Progress
from kerasdl.training.schedules import Cosine
from kerasdl.training.state import TrainingState
from kerasdl.training.task import one_model


class Training:
    """Trains a task without a trainer."""

    def __init__(self, task, examples, callbacks=()):
        self.task = task
        self.model = one_model(task.networks)
        self.model.stop_training = False
        self.split = examples.train
        self.schedule = Cosine(steps_per_epoch=self.split.steps, total_steps=20, warmup=0, final=0.1)
        self.loop = TrainingLoop(self.task, self.split, self.schedule, jit=False)
        self.callbacks = list(callbacks)
        self.progress = Progress(self.task.shapes(training=True))
        self.state = TrainingState(self.task, self.model, self.loop, self.callbacks, self.progress)

    def run(self, steps):
        progress = self.progress
        handle = self.split.epoch(progress.epoch, progress.done)
        done = self.loop.run(
            handle, progress.done, steps, progress.epoch_tally.sums, progress.interval_tally.sums
        )  # fmt: skip
        progress.record(done.losses, done.learning_rates, done.totals, seconds=0.5)
        return self.state.capture()


def assert_equal(one, other):
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name], name, strict=True)
        assert array.tobytes() == other.arrays[name].tobytes(), name  # NaN and the sign of 0 too
    assert one.values == other.values


def differ(one, other):
    return [name for name, array in one.arrays.items() if array.tobytes() != other.arrays[name].tobytes()]


def as_file(snapshot, folder):
    write(folder / "step.npz", snapshot)
    return read(folder / "step.npz")
