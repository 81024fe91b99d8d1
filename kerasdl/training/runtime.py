"""The process's own settings: device, threads, precision, determinism, log level.

TensorFlow reads some of them when it is imported and others before its first operation, so `configure` comes first in
a run. Within one process (a notebook) device, threads and determinism can't be changed again; precision can.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kerasdl.errors import ConfigError
from kerasdl.quiet import quiet


@dataclass(frozen=True)
class Runtime:
    """The settings of the process.

    Attributes:
        device: `CPU` or `GPU`.
        name: describes the device, e.g. `CPU, 2 threads`.
        jit: whether steps are compiled with XLA.
        deterministic: whether the same seed gives the same bits.
    """

    device: str
    name: str
    jit: bool
    deterministic: bool


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages, unless the user set TF_CPP_MIN_LOG_LEVEL=0.

    If the import fails, they are shown.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Each run in a process traces its own loops once; TensorFlow would warn of one function that is traced repeatedly.
    logging.getLogger("tensorflow").addFilter(_is_not_about_retracing)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet():
        import tensorflow  # noqa: F401


def _is_not_about_retracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()


def configure(trainer, threads: int | None = None) -> Runtime:
    """Applies the `trainer` group's device, threads and determinism, and imports TensorFlow.

    Args:
        trainer: the `trainer` node of the configuration.
        threads: used if `trainer.threads` is null; None: all cores.

    Raises:
        ConfigError: there is no GPU, or the process has already started TensorFlow with other settings.
    """
    import_tensorflow()
    import keras
    import tensorflow as tf

    threads = trainer.threads or threads

    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"Keras runs on {keras.backend.backend()}, kerasdl needs TensorFlow. Set KERAS_BACKEND=tensorflow."
        )
    gpus = [] if trainer.device == "cpu" else tf.config.list_physical_devices("GPU")
    if trainer.device == "gpu" and not gpus:
        raise ConfigError(
            "trainer.device=gpu, but TensorFlow sees no GPU. Use trainer.device=cpu, or set "
            "TF_CPP_MIN_LOG_LEVEL=0 to see what is missing (often pip install tensorflow[and-cuda])."
        )
    try:
        if trainer.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if tf.config.threading.get_intra_op_parallelism_threads() != (threads or 0):  # 0: all cores
            tf.config.threading.set_intra_op_parallelism_threads(threads or 0)
            tf.config.threading.set_inter_op_parallelism_threads(threads or 0)
    except RuntimeError as error:
        raise ConfigError(
            "trainer.device and trainer.threads can't change in a process in which TensorFlow has already run. "
            "Start a new process, or restart the notebook's kernel."
        ) from error
    # XLA has no deterministic gradient of max pooling, so if one of the two is set, `auto` turns the other off.
    deterministic = not gpus and trainer.jit is not True if trainer.deterministic == "auto" else trainer.deterministic
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    may_compile = bool(gpus) and not deterministic and not trainer.check_numerics
    jit = may_compile if trainer.jit == "auto" else trainer.jit
    return Runtime("GPU" if gpus else "CPU", _describe(gpus, threads), jit, deterministic)


def _describe(gpus: list, threads: int | None) -> str:
    if not gpus:
        return f"CPU, {threads or os.cpu_count()} threads"
    import tensorflow as tf

    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    return f"GPU {names[0]}"


@contextmanager
def precision_and_device(trainer, threads: int | None = None) -> Iterator[Runtime]:
    """Configures the process; inside the block new layers have `trainer.precision`."""
    runtime = configure(trainer, threads)
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(trainer.precision)
    try:
        yield runtime
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def numerics_checked(check: bool) -> Iterator[None]:
    """If `check`, the first operation in the block that gives a NaN or an infinity raises an error that names it."""
    if not check:
        yield
        return
    import tensorflow as tf

    from kerasdl.errors import TrainingError

    tf.debugging.enable_check_numerics()
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if "CheckNumerics" not in str(error):
            raise
        raise TrainingError(f"the first value that isn't finite: {_failed_operation(str(error))}") from error
    finally:
        tf.debugging.disable_check_numerics()


def _failed_operation(message: str) -> str:
    """Returns values, operation and line of code from the check's message, which is a page long."""
    values = re.search(r"Tensor had ([\w ,+-]+?) values", message)
    operation = re.search(r"Detected at node (\S+)/CheckNumerics", message)
    found = [
        f"{values[1] if values else 'NaN or infinity'} in the output of {operation[1] if operation else 'an operation'}"
    ]
    # Frames of the program and of Keras's layers are more useful than those of TensorFlow below them.
    frames = [line for line in re.findall(r"\+ (\S+ \(L\d+\) \w+)", message) if "tensorflow/python/" not in line]
    if frames:
        found.append(f"made at {frames[-1]}")
    return ", ".join(found) + ". Look at the inputs of that operation, or lower optimizer.learning_rate."
