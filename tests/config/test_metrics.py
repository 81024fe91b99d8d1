"""Which way a metric is better: by its whole name, or as the user says, and never guessed."""

import pytest

from kerasdl.config.metrics import direction, is_maximized
from kerasdl.config.training_checks import callback_mode
from kerasdl.errors import ConfigError

LESS = ("loss", "val_loss", "test_loss", "interval/loss", "seconds", "parameters", "perplexity", "val_error", "mce",
        "test_mse", "evaluate/test/ece", "evaluate/digits/test/brier_score", "evaluate/mnist_corrupted/shear/test/nll",
        "export/litert_int8_max_difference", "export/onnx_size_bytes", "interval/memory_gb")  # fmt: skip
MORE = ("accuracy", "val_f1", "test_precision", "recall", "val_top_5_accuracy", "top_12_accuracy",
        "examples_per_second", "interval/accuracy", "interval/examples_per_second", "evaluate/test/top_3_accuracy",
        "robustness/pgd_linf_0.2", "robustness/corruption_mean", "export/litert_accuracy")  # fmt: skip
UNKNOWN = ("val_lossless_ratio", "lossless_ratio", "val_glossiness", "learning_rate", "epoch", "top_k_accuracy",
           "accuracy_loss_ratio", "milliseconds_saved", "system/cpu_utilization_percentage", "val_", "")  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "way"),
    [(name, way) for names, way in ((LESS, "minimize"), (MORE, "maximize"), (UNKNOWN, None)) for name in names],
)
def test_a_name_is_known_as_a_whole_or_not_at_all(metric, way):
    assert direction(metric) == way


def test_what_is_said_counts_and_what_nobody_says_is_refused():
    assert is_maximized("val_lossless_ratio", "maximize", "direction")
    assert is_maximized("loss", "maximize", "direction")
    assert not is_maximized("val_loss", "auto", "direction")
    with pytest.raises(ConfigError, match=r"^sweep\.direction must say whether more or less of val_lossless_ratio is"):
        is_maximized("val_lossless_ratio", "auto", "sweep.direction")
    with pytest.raises(ConfigError, match=r"^direction must be maximize, minimize or auto\. Received: up\."):
        is_maximized("loss", "up", "direction")


def callback(name="keras.callbacks.EarlyStopping", **keys):
    return {"_target_": name, **keys}


@pytest.mark.parametrize(
    ("node", "mode"),
    [
        (callback(monitor="val_accuracy", mode="auto"), "max"),
        (callback(monitor="val_f1"), "max"),
        (callback("kerasdl.training.callbacks.BestModel", monitor="val_loss", mode="auto"), "min"),
        (callback(monitor="dice_of_my_own", mode="min"), "min"),
        (callback("keras.callbacks.TensorBoard"), None),
        (callback("my_package.Callback", monitor="val_loss", mode="fast"), None),
    ],
)
def test_callbacks_watch_a_metric_in_its_own_direction(node, mode):
    assert callback_mode(node, "callbacks.x") == mode


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (callback(monitor="val_accuracy", mode="min"), "mode must be max: more val_accuracy is better. Received: min."),
        (callback(monitor="val_loss", mode="max"), "mode must be min: less val_loss is better. Received: max."),
        (callback(monitor="val_loss", mode="down"), "mode must be min, max or auto. Received: down."),
        (callback(monitor="lossless_ratio"), "mode must be min or max for lossless_ratio, whose name doesn't say"),
    ],
)
def test_a_callback_that_would_take_the_worst_for_the_best_is_refused(node, message):
    with pytest.raises(ConfigError, match=f"^callbacks.x.{message}"):
        callback_mode(node, "callbacks.x")
