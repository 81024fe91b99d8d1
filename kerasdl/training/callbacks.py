"""Keras callbacks in the compiled loop.

Keras's `CallbackList` calls them as `fit` would, with the same logs. A callback that hooks batches requires a
call for every step, so the trainer checks first whether there is one.
"""

import math
from collections.abc import Iterable

import keras

from kerasdl.errors import ConfigError


class BestModel(keras.callbacks.Callback):
    """Keeps the weights of the best epoch in memory and ends training with them.

    Args:
        monitor: a metric of the epoch's logs, e.g. `val_accuracy`.
        mode: `max` if a higher value is better, or `min`.

    Raises:
        ConfigError: `mode` is neither, or the epoch's logs have no such metric.
    """

    def __init__(self, monitor: str = "val_accuracy", mode: str = "max"):
        super().__init__()
        if mode not in ("min", "max"):
            raise ConfigError(f"callbacks.best_model.mode must be min or max. Received: {mode}.")
        self.monitor = monitor
        self.mode = mode
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._best_weights: list | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            raise ConfigError(
                f"callbacks.best_model.monitor: no metric {self.monitor!r}. Known: {', '.join(logs or {})}."
            )
        if math.isnan(value):
            return
        if self.best is None or (value > self.best if self.mode == "max" else value < self.best):
            self.best, self.best_epoch = value, epoch
            self._best_weights = self.model.get_weights()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)


def hooks_batches(callbacks: Iterable[keras.callbacks.Callback]) -> bool:
    """Returns whether any of `callbacks` does something at every training batch."""
    base = keras.callbacks.Callback
    hooks = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    return any(
        getattr(type(callback), hook) is not getattr(base, hook)
        for callback in callbacks
        for hook in hooks
        # Keras's ModelCheckpoint overrides the hook, but uses it only when it saves every so many batches.
        if not (isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_freq == "epoch")
    )
