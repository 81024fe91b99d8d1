"""kerasdl: Keras experiments from composed configurations.

    from kerasdl import compose, load, run

    result = run(compose(["model=cnn", "data=mnist", "trainer.epochs=1"]))
    result.metrics["test_accuracy"], result.history["val_loss"], result.model, result.run_id
    load(result.run_id)(images)

The names are imported when they are first used, so that `import kerasdl` costs nothing.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["compose", "load", "run"]

_HOMES = {"compose": "kerasdl.runs.composing", "load": "kerasdl.trained", "run": "kerasdl.experiment"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kerasdl' has no attribute {name!r}. It has: {', '.join(__all__)}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
