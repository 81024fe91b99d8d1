"""`saved_model/`: TensorFlow's own format, for TensorFlow Serving and for programs without Keras."""

from pathlib import Path

from kerasdl.export.source import Classify, Source

SAMPLE = """\
import tensorflow as tf  # pip install tensorflow

model = tf.saved_model.load("{path}")  # keep it: its function doesn't work without it
probabilities = model.serve(images)["probabilities"].numpy()
"""


def write(source: Source, path: Path) -> None:
    import tensorflow as tf

    from kerasdl.export.formats import endpoint

    module = endpoint.of_images(source)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


def load(path: Path) -> Classify:
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    return lambda images: model.serve(images)["probabilities"].numpy()
