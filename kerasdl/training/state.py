"""The state of a training: everything that decides its next step, in one object.

    networks    every variable by role, the random generators of dropout among them
    optimizers  every variable by role: iterations, momenta, averages, accumulated gradients, loss scale
    loop        step and learning rate scale
    callbacks   their counters, best values and best weights
    progress    epoch, step, history, the running sums of the epoch and of the interval

The order of the examples and the random numbers of a step need no state: they are functions of the seed and the step.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from kerasdl.errors import ResumeError
from kerasdl.training import callback_state
from kerasdl.training.checkpoint_file import Snapshot
from kerasdl.training.loop import TrainingLoop
from kerasdl.training.progress import Progress
from kerasdl.training.task import Task


class TrainingState:
    """Takes snapshots of a training and restores them.

    Args:
        task: networks and optimizers.
        model: the model that callbacks see.
        loop: the training loop.
        callbacks: Keras callbacks, in the configuration's order.
        progress: how far training has come.
    """

    def __init__(
        self,
        task: Task,
        model: keras.Model,
        loop: TrainingLoop,
        callbacks: Sequence[keras.callbacks.Callback],
        progress: Progress,
    ):
        self._task = task
        self._model = model
        self._loop = loop
        self._callbacks = callbacks
        self._progress = progress

    def capture(self) -> Snapshot:
        """Returns a copy of the whole state."""
        self._loop.adopt_learning_rate()
        variables = self._variables()
        arrays = {name: np.array(variable) for name, variable in variables.items()}
        more_arrays, values = self._progress.state()
        arrays |= more_arrays
        values["stop_training"] = bool(self._model.stop_training)
        values["optimizers"] = self._optimizer_names()
        values["callbacks"] = []
        for number, callback in enumerate(self._callbacks):
            more_arrays, state = callback_state.capture(callback, f"callbacks/{number}")
            arrays |= more_arrays
            values["callbacks"].append({"class": type(callback).__name__, "state": state})
        finite = tuple(name for name in variables if name.startswith("networks/"))
        return Snapshot(arrays, values, finite)

    def restore(self, snapshot: Snapshot) -> None:
        """Restores `snapshot`; to be called after `on_train_begin` of the callbacks.

        Raises:
            ResumeError: it is of another network or optimizer, or of other callbacks; nothing has been changed.
        """
        variables = self._variables()
        snapshot = with_roles(snapshot, self._task)
        self._check(snapshot, variables)
        for name, variable in variables.items():
            variable.assign(snapshot.arrays[name])
        self._loop.learning_rate_was_restored()
        self._progress.restore(snapshot.arrays, snapshot.values)
        self._model.stop_training = snapshot.values["stop_training"]
        for callback, saved in zip(self._callbacks, snapshot.values["callbacks"], strict=True):
            callback_state.restore(callback, snapshot.arrays, saved["state"])

    def _variables(self) -> dict[str, Any]:
        named = network_variables(self._task) | optimizer_variables(self._task)
        return named | {"loop/step": self._loop.step, "loop/learning_rate_scale": self._loop.learning_rate_scale}

    def _optimizer_names(self) -> dict[str, str]:
        optimizers = self._task.optimizers.items()
        return {role: type(getattr(each, "inner_optimizer", each)).__name__ for role, each in optimizers}

    def _check(self, snapshot: Snapshot, variables: Mapping[str, Any]) -> None:
        there = {
            name: array for name, array in snapshot.arrays.items() if name.startswith(("networks/", "optimizers/"))
        }
        here = {name: variable for name, variable in variables.items() if not name.startswith("loop/")}
        for name in sorted({*there, *here}):
            if name not in there or name not in here:
                raise _mismatch(f"{name} is only in {'this network' if name in here else 'the checkpoint'}")
            if there[name].shape != tuple(here[name].shape):
                raise _mismatch(f"{name} had shape {there[name].shape} and now has {tuple(here[name].shape)}")
        before, now = snapshot.values["optimizers"], self._optimizer_names()
        for role in before:
            if before[role] != now[role]:
                raise _mismatch(f"the optimizer was {before[role]} and is now {now[role]}")
        saved = [callback["class"] for callback in snapshot.values["callbacks"]]
        own = [type(callback).__name__ for callback in self._callbacks]
        if saved != own:
            raise _mismatch(f"callbacks were {', '.join(saved) or 'none'} and are now {', '.join(own) or 'none'}")


def network_variables(task: Task) -> dict[str, Any]:
    """Returns the variables of all networks by their names in a snapshot: `networks/<role>/<number>/<name>`."""
    # Numbered, since a layer's name depends on how many layers the process has created before.
    return {
        f"networks/{role}/{i:04d}/{variable.name}": variable
        for role, network in task.networks.items()
        for i, variable in enumerate(network.variables)
    }


def optimizer_variables(task: Task) -> dict[str, Any]:
    """Returns the variables of all optimizers by their names in a snapshot: `optimizers/<role>/<number>`."""
    return {
        f"optimizers/{role}/{i:04d}": variable
        for role, optimizer in task.optimizers.items()
        for i, variable in enumerate(optimizer.variables)
    }


def with_roles(snapshot: Snapshot, task: Task) -> Snapshot:
    """Returns a snapshot under today's names: earlier versions had one network, `model`, and one `optimizer`."""
    if "optimizer" not in snapshot.values:
        return snapshot
    roles = {"model": f"networks/{next(iter(task.networks))}"}
    if task.optimizers:
        roles["optimizer"] = f"optimizers/{next(iter(task.optimizers))}"
    values = dict(snapshot.values)
    values["optimizers"] = dict.fromkeys(task.optimizers, values.pop("optimizer"))

    def renamed(name: str) -> str:
        return re.sub(r"^(model|optimizer)(?=/)", lambda match: roles.get(match[0], match[0]), name)

    arrays = {renamed(name): array for name, array in snapshot.arrays.items()}
    return replace(snapshot, arrays=arrays, values=values, finite=tuple(map(renamed, snapshot.finite)))


def _mismatch(difference: str) -> ResumeError:
    return ResumeError(
        f"the checkpoint is of another network, optimizer or set of callbacks: {difference}. "
        "Resume with the code and configuration that wrote it, or start a new run with resume=never."
    )
