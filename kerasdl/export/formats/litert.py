"""`model.tflite` and `model_fp16.tflite`: LiteRT (TensorFlow Lite), for phones and small computers.

TensorFlow's converter writes them. What they are read with is `ai-edge-litert`, the runtime's own package, if it is
installed, else the copy of it in TensorFlow, which is going to be removed there.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.export.samples import Names
from kerasdl.export.source import Predict, Source

if TYPE_CHECKING:
    from kerasdl.export.formats.endpoint import Endpoint

_SAMPLE = """\
try:
    from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert
except ImportError:
    import tensorflow as tf  # the same, up to TensorFlow 2.21

    Interpreter = tf.lite.Interpreter

interpreter = Interpreter("{path}")
run = interpreter.get_signature_runner()
"""


def sample(path: str, names: Names) -> str:
    call = f"run({names.keywords})"
    return _SAMPLE.format(path=path) + f"{names.result} = {call}{names.subscript}\n"


def write(source: Source, path: Path) -> None:
    from kerasdl.export.formats import endpoint

    path.write_bytes(converter(endpoint.of_raw(source)).convert())


def write_fp16(source: Source, path: Path) -> None:
    """Writes weights as float16, half the size; a processor without float16 computes with them in float32."""
    import tensorflow as tf

    from kerasdl.export.formats import endpoint

    to_fp16 = converter(endpoint.of_raw(source))
    to_fp16.optimizations = [tf.lite.Optimize.DEFAULT]
    to_fp16.target_spec.supported_types = [tf.float16]
    path.write_bytes(to_fp16.convert())


def load(path: Path, names: Names) -> Predict:
    run = interpreter(path).get_signature_runner()
    return lambda inputs: run(**inputs)


def converter(module: "Endpoint") -> Any:
    """Returns TensorFlow's converter of an endpoint, which takes operations only that LiteRT has built in."""
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)


def interpreter(path: Path) -> Any:
    """Returns the runtime with a file in it."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[\\s\\S]*tf.lite.Interpreter is deprecated")
        return Interpreter(str(path))
