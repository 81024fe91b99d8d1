"""The part of `kerasdl.config.checks` that is about training: checkpoints, adversaries, callbacks and metrics."""

import importlib.util
import re
from collections.abc import Mapping, Sequence

from kerasdl.config.cadence import cadence
from kerasdl.config.explain import did_you_mean
from kerasdl.config.metrics import direction, is_maximized
from kerasdl.config.renames import public_name
from kerasdl.errors import ConfigError

_MODES = {"minimize": "min", "maximize": "max"}  # the words of Keras's callbacks


def can_be_run_id(resume: str) -> bool:
    """Returns whether `resume` can be a run's id or name, or the beginning of one."""
    return resume not in ("never", "auto") and re.fullmatch(r"[\w-]{4,}", resume) is not None


def check_checkpoints(tree: dict) -> None:
    """Raises ConfigError for contradictions between `resume`, validation, checkpoints and `on_nan`."""
    trainer, resume = tree["trainer"], tree["resume"]
    every = cadence(trainer["checkpoint"]["every"], "trainer.checkpoint.every")
    validate_every = cadence(trainer["validate_every"], "trainer.validate_every", ("steps", "epochs"))
    if validate_every and not tree["data"]["validation"]:
        raise ConfigError(
            "trainer.validate_every needs a validation split, but data.validation is 0. "
            "Keep some for validation, e.g. data.validation=0.1"
        )
    if trainer["on_nan"] == "rollback" and every is None:
        raise ConfigError(
            "trainer.on_nan=rollback goes back to a checkpoint, but trainer.checkpoint.every is null. "
            "Set it, e.g. trainer.checkpoint.every=1epochs"
        )
    best = trainer["checkpoint"]["best"]
    if best not in (None, "auto"):
        check_metric(tree, str(best), "trainer.checkpoint.best")
    # A run that was made before there was the key may be resumed, too.
    said = trainer["checkpoint"].get("direction")
    if said not in (None, "auto") or not _has_own_task(tree):  # which alone knows its metrics
        is_maximized("loss" if best in (None, "auto") else str(best), said, "trainer.checkpoint.direction")
    if resume not in ("never", "auto") and not can_be_run_id(str(resume)):
        raise ConfigError(
            f"resume must be never, auto, or at least the first 4 characters of a run's id. Received: '{resume}'."
        )


def check_adversarial(tree: dict) -> None:
    """Raises ConfigError for an attack on no classifier, or one in pixel values, which leaves nothing of an image."""
    adversarial = tree["trainer"].get("adversarial")  # absent from a run that was made before there was the key
    epsilon = adversarial["epsilon"] if adversarial else 0
    task = public_name(tree["task"].get("_target_"))
    if epsilon and not _has_own_task(tree) and task != "kerasdl.tasks.classification":
        raise ConfigError(
            f"trainer.adversarial.epsilon must be 0 with task={str(task).rpartition('.')[2]}: only classification "
            f"trains on attacked images. Received: {epsilon}."
        )
    if epsilon > 1 and adversarial["norm"] == "linf":
        raise ConfigError(
            "trainer.adversarial.epsilon must be in [0, 1] with norm linf: black is 0, white is 1. "
            f"Received: {epsilon}. For pixel values divide by 255: trainer.adversarial.epsilon={epsilon / 255:.3g}"
        )


def _has_own_task(tree: dict) -> bool:
    """Returns whether the task is of the user's own package."""
    return not str(tree["task"].get("_target_")).startswith("kerasdl.")


def check_callbacks(tree: dict) -> None:
    """Raises ConfigError for a callback that isn't one, lacks a package, or watches a metric that doesn't exist."""
    for name, callback in tree["callbacks"].items():
        if callback is None:
            continue
        if not isinstance(callback, dict) or "_target_" not in callback:
            raise ConfigError(f"callbacks.{name} must name a callback by _target_, or be null. Received: {callback}.")
        if callback["_target_"] == "keras.callbacks.TensorBoard" and importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(f"callbacks.{name} needs TensorBoard. Install it: pip install tensorboard")
        monitor = str(callback.get("monitor", "loss"))
        check_metric(tree, monitor, f"callbacks.{name}.monitor")
        callback_mode(callback, f"callbacks.{name}")


def callback_mode(callback: Mapping, key: str) -> str | None:
    """Returns which way a callback's `monitor` is better, `min` or `max`; None for a callback that watches nothing.

    Keras's own `auto` knows the direction of `loss` only, since the loop of this package compiles no Keras metrics.
    For a callback of the user's own, `mode` may mean something else, so it is left alone.

    Raises:
        ConfigError: `mode` isn't one, would take the worst epoch for the best, or is left to a name that isn't known.
    """
    ours_or_keras = public_name(callback["_target_"]).startswith(("keras.callbacks.", "kerasdl.callbacks."))
    if "monitor" not in callback or not ours_or_keras:
        return None
    monitor, mode = str(callback["monitor"]), callback.get("mode", "auto")
    if mode not in (*_MODES.values(), "auto"):
        raise ConfigError(f"{key}.mode must be min, max or auto. Received: {mode}.")
    better = _MODES.get(direction(monitor) or "")
    if better is None and mode == "auto":
        raise ConfigError(f"{key}.mode must be min or max for {monitor}, whose name doesn't say which way is better.")
    if better and mode not in (better, "auto"):
        more = "more" if better == "max" else "less"
        raise ConfigError(f"{key}.mode must be {better}: {more} {monitor} is better. Received: {mode}.")
    return better or str(mode)


def check_metric(tree: Mapping, metric: str, key: str, also: Sequence[str] = ()) -> None:
    """Raises ConfigError if epochs don't have that metric, and it isn't one of `also`."""
    if metric.startswith("val_") and not tree["data"]["validation"]:
        raise ConfigError(
            f"{key} is {metric}, but data.validation is 0. Keep some for validation, e.g. data.validation=0.1"
        )
    metrics = ["loss", *tree["task"].get("metrics", [])]
    known = {"learning_rate", *metrics, *(f"val_{name}" for name in metrics), *also}
    if metric not in known and "metrics" in tree["task"]:
        raise ConfigError(f"{key}: no metric {metric!r}.{did_you_mean(metric, known)}")
