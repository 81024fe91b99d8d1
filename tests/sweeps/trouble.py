"""A user's own callback, allowed by KERASDL_TARGETS, that makes trials go wrong."""

import ctypes
import os
import signal

import keras


class Trouble(keras.callbacks.Callback):
    """Goes wrong after the first epoch, or not at all.

    Args:
        kind: `none`; `hang`, for good, in C and with Python's own lock held, so that no thread and no signal handler
            of the process gets to run; `kill`, as the system does when memory runs out; `raise`; `kill_at_end`, when
            everything is done and kept, but not yet reported to the sweep.
    """

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def on_epoch_end(self, epoch, logs=None):
        if self.kind == "hang":
            ctypes.PyDLL(None).sleep(10_000)
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "raise":
            raise ArithmeticError("this callback always fails")
        if self.kind == "kill_at_end":
            _kill_after_the_end()


def _kill_after_the_end():
    from kerasdl.runs import RunFolder

    update = RunFolder.update

    def updated(folder, **changes):
        update(folder, **changes)
        if changes.get("status") == "FINISHED":
            os.kill(os.getpid(), signal.SIGKILL)

    RunFolder.update = updated
