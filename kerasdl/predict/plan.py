"""What `output=`, `format=` and `give=` ask for: where predictions go, and which of the model's outputs they have.

What can be refused without the run is refused first, before TensorFlow is imported.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl.commands import Key, Values, fresh_directory, fresh_file
from kerasdl.errors import ConfigError

if TYPE_CHECKING:
    from kerasdl.models.signature import Signature

ROWS = ("table", "csv", "jsonl")
NPZ, FOLDER = "npz", "folder"
_SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".npz": NPZ}
_OF_A_LABEL = ("top", "probabilities")
_OF_PICTURES = ("invert", "background")


@dataclass(frozen=True)
class Destination:
    """Where predictions go.

    Attributes:
        kind: `table`, `csv` or `jsonl` for rows; `npz` for arrays; `folder` for PNG files.
        path: a file that may be written, or a folder; None for standard output.
    """

    kind: str
    path: Path | None

    @property
    def is_rows(self) -> bool:
        return self.kind in ROWS


def destination(values: Values) -> Destination:
    """Returns where `output=` and `format=` send the predictions.

    Raises:
        UserError: a suffix that isn't known, a format for what isn't rows, or a file that may not be written.
    """
    output, kind = values["output"], values["format"]
    if not output:
        return Destination(kind or ("table" if sys.stdout.isatty() else "csv"), None)
    found: str | None
    if output.endswith("/") or Path(output).expanduser().is_dir():
        found = FOLDER
    else:
        found = _SUFFIXES.get(Path(output).suffix.lower(), kind)
    if found is None:
        raise ConfigError(
            f"output must end with .csv or .jsonl. Received: '{output}'. Or add format=..., or end it with .npz for "
            "arrays, with / for a folder of images."
        )
    if kind and found not in ROWS:
        raise ConfigError(f"format is for rows. Received: format={kind} with output={output}. Leave format out.")
    if found == FOLDER:
        return Destination(FOLDER, fresh_directory(output, values["overwrite"]))
    return Destination(kind or found, fresh_file(output, values["overwrite"]))


def given(values: Values, signature: "Signature", target: Destination, keys: Sequence[Key]) -> tuple[str, ...]:
    """Returns the names of the outputs that are asked for.

    Args:
        values: of the command.
        signature: of the model.
        target: where predictions go.
        keys: of the command, for their defaults.

    Raises:
        ConfigError: an output that the model doesn't have, one that doesn't fit `output`, or a key that is for other
            models.
    """
    model = f"The run's model is {signature.describe()}"
    for names, fits, what in (
        (_OF_A_LABEL, signature.gives("label"), "gives a label"),
        (_OF_PICTURES, signature.takes("image"), "takes an image"),
    ):
        for key in keys:
            if key.name in names and not fits and values[key.name] != key.default:
                raise ConfigError(f"{key.name} is for a model that {what}. {model}. Leave it out.")
    name = values["give"] or next(iter(signature.outputs))
    if name not in signature.outputs:
        raise ConfigError(f"give must be one of {', '.join(signature.outputs)}. Received: '{name}'.")
    is_image, others = signature.outputs[name].kind == "image", [each for each in signature.outputs if each != name]
    if target.kind == NPZ:
        return (name,) if values["give"] else tuple(signature.outputs)
    if is_image and target.kind != FOLDER:
        another = f", or take another output: give={others[0]}" if others else ""
        raise ConfigError(
            f"give={name} is an image, which is no row of text. Add output=FOLDER/ for PNG files or output=FILE.npz "
            f"for arrays{another}."
        )
    if target.kind == FOLDER and not is_image:
        images = [each for each, feature in signature.outputs.items() if feature.kind == "image"]
        instead = f" Or take give={images[0]}." if images else ""
        raise ConfigError(
            f"output: a folder is for images, and {name} is {signature.outputs[name].describe()}. Name a .csv, .jsonl "
            f"or .npz file.{instead}"
        )
    return (name,)
