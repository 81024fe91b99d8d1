"""One experiment, from a configuration to a result.

running   the story: what is checked, built, trained, tested and kept, in which order
parts     what an experiment is made of, and what it gives
assembly  the task and the trainer, built from the configuration
record    what is kept of it, in the run's folder and in MLflow
terminal  what is shown of it
"""

from typing import Any

from kerasdl.experiment.parts import Experiment, Result

__all__ = ["Experiment", "Result", "run"]


def __getattr__(name: str) -> Any:
    if name == "run":  # below it stands nearly everything
        from kerasdl.experiment.running import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
