"""The example image of an export, and the lines that read it, with which every code sample of the card begins."""

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasdl.channels import MODES

_PNG, _NPY = "example.png", "example.npy"
EXAMPLES = (_PNG, _NPY)

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


def write_example(image: np.ndarray, folder: Path) -> str:
    """Writes an image uint8 (height, width, channels) into the folder, and returns its name."""
    from PIL import Image

    channels = image.shape[-1]
    if channels not in MODES:  # no picture format has these
        np.save(folder / _NPY, image[None])
        return _NPY
    Image.fromarray(image[..., 0] if channels == 1 else image).save(folder / _PNG)
    return _PNG


def reading(path: str, shape: tuple[int, int, int], class_names: Sequence[str]) -> str:
    """Returns Python that reads the image at `path` and has the class names.

    Args:
        path: as `write_example` returned it.
        shape: (height, width, channels) that the network takes.
        class_names: in the order of the probabilities.
    """
    height, width, channels = shape
    template = _FROM_PNG if path == _PNG else _FROM_NPY
    lines = template.format(path=path, mode=MODES.get(channels), height=height, width=width, channels=channels)
    return lines + _listed(class_names)


def _listed(class_names: Sequence[str]) -> str:
    on_one_line = f"classes = {json.dumps(list(class_names), ensure_ascii=False)}\n"
    if len(on_one_line) <= 120:
        return on_one_line
    names = [f"{json.dumps(name, ensure_ascii=False)}," for name in class_names]
    wrapped = textwrap.fill(" ".join(names), 110, break_long_words=False, break_on_hyphens=False)
    if " ".join(wrapped.split()) != " ".join(names):  # a name with blanks that wrapping would change
        wrapped = "\n".join(names)
    return "classes = [\n" + textwrap.indent(wrapped, "    ") + "\n]\n"
