"""`model.keras`: the network in Keras's own format, weights and structure, which can be trained further."""

from pathlib import Path

import numpy as np

from kerasdl.export.source import Classify, Source

SAMPLE = """\
import keras  # pip install keras tensorflow

model = keras.saving.load_model("{path}")
probabilities = model.predict(images, verbose=0)
"""


def write(source: Source, path: Path) -> None:
    source.model.save(path)


def load(path: Path) -> Classify:
    import keras

    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    return lambda images: np.asarray(model.predict_on_batch(images))
