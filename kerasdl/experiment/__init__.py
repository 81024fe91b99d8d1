"""One experiment, from a configuration to a result.

running   the order of events: check, build, train, test, log
parts     the parts of an experiment, and its result
assembly  builds the task and the trainer from the configuration
record    logs it, in the run's folder and in MLflow
pictures  logs the task's pictures during training
terminal  shows it
"""

from typing import Any

from kerasdl.experiment.parts import Experiment, Result

__all__ = ["Experiment", "Result", "run"]


def __getattr__(name: str) -> Any:
    if name == "run":  # imports nearly everything
        from kerasdl.experiment.running import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
