"""The example of an export, and the lines that read it, with which every code sample of the card begins."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.channels import MODES

if TYPE_CHECKING:
    from kerasdl.data.features import Feature

_PNG, _NPY, _NPZ = "example.png", "example.npy", "example.npz"
EXAMPLES = (_PNG, _NPY, _NPZ)

_FROM_PNG = """\
import numpy as np
from PIL import Image

image = Image.open("{path}").convert("{mode}").resize(({width}, {height}))
images = np.asarray(image, dtype="uint8").reshape(1, {height}, {width}, {channels})
"""
_FROM_NPY = """\
import numpy as np

images = np.load("{path}")  # uint8 (1, {height}, {width}, {channels})
"""
_FROM_NPZ = """\
import numpy as np

inputs = dict(np.load("{path}"))  # an array for each input
"""


@dataclass(frozen=True)
class Names:
    """The names of a model's inputs and outputs in its files, and how code samples speak of them.

    Attributes:
        inputs: in order; samples keep a single image in `images`, anything else in the dict `inputs`.
        outputs: in order; samples keep a single one in a variable of its name, several in the dict `outputs`.
        is_image: whether a single image is what the model takes.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    is_image: bool

    @property
    def single_output(self) -> str:
        return self.outputs[0] if len(self.outputs) == 1 else ""

    @property
    def result(self) -> str:
        """The variable that has the result."""
        return self.single_output if self.single_output.isidentifier() else "outputs"

    @property
    def subscript(self) -> str:
        """What takes the result out of a dict of outputs."""
        return f'["{self.single_output}"]' if self.single_output else ""

    @property
    def given(self) -> str:
        """What a Keras model is called with: a tensor where there is one input."""
        return "images" if self.is_image else "inputs" if len(self.inputs) > 1 else f'inputs["{self.inputs[0]}"]'

    @property
    def arguments(self) -> str:
        return "images" if self.is_image else "**inputs"

    @property
    def keywords(self) -> str:
        return f"{self.inputs[0]}=images" if self.is_image else "**inputs"

    @property
    def as_dict(self) -> str:
        return f'{{"{self.inputs[0]}": images}}' if self.is_image else "inputs"


def write_example(inputs: Mapping[str, np.ndarray], features: "Mapping[str, Feature]", folder: Path) -> str:
    """Writes an example into the folder, and returns the file's name; "" if samples have its numbers themselves.

    Args:
        inputs: of the example, (*shape) each.
        features: by the same names.
        folder: is there.
    """
    from PIL import Image

    if all(feature.kind == "number" and feature.is_scalar for feature in features.values()):
        return ""
    if [feature.kind for feature in features.values()] != ["image"]:
        arrays: dict[str, Any] = {name: value[None] for name, value in inputs.items()}
        np.savez(folder / _NPZ, **arrays)
        return _NPZ
    (image,) = inputs.values()
    channels = image.shape[-1]
    if channels not in MODES:  # no picture format has these
        np.save(folder / _NPY, image[None])
        return _NPY
    Image.fromarray(image[..., 0] if channels == 1 else image).save(folder / _PNG)
    return _PNG


def reading(
    path: str, inputs: Mapping[str, np.ndarray], features: "Mapping[str, Feature]", class_names: Sequence[str] = ()
) -> str:
    """Returns Python that reads the example at `path` and has the class names.

    Args:
        path: as `write_example` returned it.
        inputs: of the example, (*shape) each.
        features: by the same names.
        class_names: in the order of the probabilities; empty if the model gives something else.
    """
    if path == "":
        lines = [f'    "{name}": np.array([{value!s}], "{value.dtype}"),' for name, value in inputs.items()]
        text = "\n".join(["import numpy as np", "", "inputs = {", *lines, "}", ""])
    elif path == _NPZ:
        text = _FROM_NPZ.format(path=path)
    else:
        height, width, channels = next(iter(features.values())).shape
        template = _FROM_PNG if path == _PNG else _FROM_NPY
        text = template.format(path=path, mode=MODES.get(channels), height=height, width=width, channels=channels)
    return text + (_listed(class_names) if class_names else "")


def showing(names: Names, class_names: Sequence[str]) -> str:
    """Returns Python that prints what the model gave for the example."""
    if class_names:
        return f"print(classes[{names.result}[0].argmax()], {names.result}[0].max())"
    if names.single_output:
        return f"print({names.result}[0])"
    return f"print({{name: values[0] for name, values in {names.result}.items()}})"


def _listed(class_names: Sequence[str]) -> str:
    on_one_line = f"classes = {json.dumps(list(class_names), ensure_ascii=False)}\n"
    if len(on_one_line) <= 120:
        return on_one_line
    names = [f"{json.dumps(name, ensure_ascii=False)}," for name in class_names]
    wrapped = textwrap.fill(" ".join(names), 110, break_long_words=False, break_on_hyphens=False)
    if " ".join(wrapped.split()) != " ".join(names):  # a name with blanks that wrapping would change
        wrapped = "\n".join(names)
    return "classes = [\n" + textwrap.indent(wrapped, "    ") + "\n]\n"
