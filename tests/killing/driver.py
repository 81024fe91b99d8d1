"""`python driver.py POINT COUNT [overrides]`: `kerasdl.train`, killed when it comes to POINT for the COUNTth time.

By SIGKILL, as from outside; but that would come at a random instruction, and these are where it would hurt most.
"""

import os
import signal
import sys


def killed_before(owner, name, count):
    """Replaces `owner.name` by what it was, but for its `count`th call, which it doesn't live to see."""
    _replace(owner, name, count, before=True)


def killed_after(owner, name, count):
    """The same, but the call is made first."""
    _replace(owner, name, count, before=False)


def _replace(owner, name, count, before):
    original, calls = getattr(owner, name), 0

    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if before and calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


def training(count):
    from kerasdl.training.loop import TrainingLoop

    killed_after(TrainingLoop, "run", count)


def checkpoint_half_written(count):
    import numpy

    killed_before(numpy.lib.format, "write_array", 5 * count)


def checkpoint_not_yet_in_place(count):
    from kerasdl.training import checkpoints

    killed_after(checkpoints, "_digest", count)


def checkpoint_in_place(count):
    from kerasdl.training import checkpoints

    killed_after(checkpoints, "write", count)


def evaluation(count):
    from kerasdl.training.loop import EvaluationLoop

    killed_before(EvaluationLoop, "run", count)


def between_epochs(count):
    from kerasdl.experiment.terminal import Display

    killed_after(Display, "on_epoch", count)


def journal(count):
    from kerasdl.tracking.journal import Journal

    killed_after(Journal, "append", 3 * count)


def while_the_database_is_made(count):
    import sqlalchemy

    killed_after(sqlalchemy.engine.Connection, "execute", 20 * count)


def sent_but_not_noted(count):
    import mlflow

    killed_after(mlflow.MlflowClient, "log_batch", count)


def the_end(count):
    from kerasdl.experiment import terminal

    killed_after(terminal, "conclude", 1)


POINTS = {
    point.__name__: point
    for point in (
        training,
        checkpoint_half_written,
        checkpoint_not_yet_in_place,
        checkpoint_in_place,
        evaluation,
        between_epochs,
        journal,
        while_the_database_is_made,
        sent_but_not_noted,
        the_end,
    )
}

if __name__ == "__main__":
    point, count, *overrides = sys.argv[1:]
    sys.argv[1:] = overrides
    from kerasdl.training.runtime import import_tensorflow

    import_tensorflow()
    POINTS[point](int(count))
    from kerasdl.train import main

    main()
