"""`saved_model/`: TensorFlow's own format, for TensorFlow Serving and for programs without Keras."""

from pathlib import Path

from kerasdl.export.samples import Names
from kerasdl.export.source import Arrays, Predict, Source

_SAMPLE = """\
import tensorflow as tf  # pip install tensorflow

model = tf.saved_model.load("{path}")  # keep it: its function doesn't work without it
"""


def sample(path: str, names: Names) -> str:
    call = f"model.serve({names.arguments})"
    if names.single_output:
        return _SAMPLE.format(path=path) + f'{names.result} = {call}["{names.single_output}"].numpy()\n'
    return _SAMPLE.format(path=path) + f"{names.result} = {{name: values.numpy() for name, values in {call}.items()}}\n"


def write(source: Source, path: Path) -> None:
    import tensorflow as tf

    from kerasdl.export.formats import endpoint

    module = endpoint.of_raw(source)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


def load(path: Path, names: Names) -> Predict:
    import tensorflow as tf

    model = tf.saved_model.load(str(path))

    def predict(inputs: Arrays) -> Arrays:
        return {name: values.numpy() for name, values in model.serve(**inputs).items()}

    return predict
