"""What the name of a metric says: whether more of it is better, and which metric decides if the user names none.

A name is known as a whole or not at all: `val_lossless_ratio` isn't a loss. For a metric that isn't known here, the
user must say which way is better; it is never guessed.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from kerasdl.errors import ConfigError

# Validation, which was held out for choices, before test, which is looked at once.
PREFERRED = ("val_accuracy", "test_accuracy", "val_loss", "test_loss", "accuracy", "loss")
# Beyond losses: what a run costs.
COSTS = ("seconds", "parameters")
DIRECTIONS = ("maximize", "minimize")

_LESS_IS_BETTER = {
    *COSTS,
    *("loss", "cross_entropy", "log_loss", "nll", "perplexity", "error", "error_rate"),
    *("mse", "mae", "rmse", "mean_squared_error", "mean_absolute_error", "root_mean_squared_error"),
    *("ece", "mce", "brier_score"),  # calibration
    *("memory_gb", "rollbacks"),
}
_MORE_IS_BETTER = {
    *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "f1_score", "specificity", "sensitivity"),
    *("auc", "roc_auc", "average_precision", "iou", "mean_iou", "dice", "r2", "r2_score"),
    "examples_per_second",
    "images_per_second",  # what earlier versions called it
}
# Where a number was measured says nothing of its direction: val_loss, interval/loss, evaluate/digits/test/ece.
_PREFIXES = re.compile(r"(interval/|evaluate/(?:.*/)?)?(train_|val_|test_)?")
# Metrics of the commands on a run (`robustness`, `export`, `explain`).
_PATTERNS = {
    r"top_\d+_accuracy|robustness/.+|export/\w+_accuracy": "maximize",
    r"export/\w+_(size_bytes|max_difference)|explain/integrated_gradients_gap": "minimize",
}


def direction(metric: str) -> str | None:
    """Returns whether to `maximize` or `minimize` a metric; None if its name isn't known."""
    name = _PREFIXES.sub("", metric, count=1)
    if name in _LESS_IS_BETTER:
        return "minimize"
    if name in _MORE_IS_BETTER:
        return "maximize"
    return next((way for pattern, way in _PATTERNS.items() if re.fullmatch(pattern, name)), None)


def is_maximized(metric: str, said: str | None, key: str, of_task: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Returns whether more of `metric` is better.

    Args:
        metric: its name.
        said: `maximize` or `minimize`, which counts; None or `auto` to go by the name.
        key: what the user can say it with.
        of_task: the directions of a task's own metrics, for names that aren't known here.

    Raises:
        ConfigError: `said` is something else, or is missing for a metric that isn't known.
    """
    if said not in (None, "auto", *DIRECTIONS):
        raise ConfigError(f"{key} must be {', '.join(DIRECTIONS)} or auto. Received: {said}.")
    if said in (None, "auto"):
        said = direction(metric) or of_task.get(metric.removeprefix("val_"))
    if said is None:
        raise ConfigError(
            f"{key} must say whether more or less of {metric} is better, since that metric isn't known. "
            f"Example: {key}=maximize"
        )
    return said == "maximize"
