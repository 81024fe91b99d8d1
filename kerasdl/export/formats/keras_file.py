"""`model.keras`: the network in Keras's own format, weights and structure, which can be trained further."""

from pathlib import Path

from kerasdl.export.samples import Names
from kerasdl.export.source import Predict, Source, as_predict

_SAMPLE = """\
import keras  # pip install keras tensorflow

model = keras.saving.load_model("{path}")
{outputs} = model.predict({inputs}, verbose=0)
"""


def sample(path: str, names: Names) -> str:
    return _SAMPLE.format(path=path, inputs=names.given, outputs=names.result)


def write(source: Source, path: Path) -> None:
    source.model.save(path)


def load(path: Path, names: Names) -> Predict:
    import keras

    return as_predict(keras.saving.load_model(path, compile=False, safe_mode=True), names.outputs)
