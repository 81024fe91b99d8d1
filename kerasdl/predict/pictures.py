"""Images that a model gives, as PNG files in a folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from kerasdl.errors import UserError
from kerasdl.files import written_whole
from kerasdl.trained.predicting import Prediction


class PngFolder:
    """Writes each image when it is predicted, under the name of the picture that it is of.

    Two pictures of one name get `7.png` and `7-2.png`.

    Args:
        folder: it is made if it isn't there.
        output: name of the image among the model's outputs.
    """

    def __init__(self, folder: Path, output: str):
        self._folder = folder
        self._output = output
        self._taken: set[str] = set()

    def add(self, batch: Sequence[Prediction]) -> None:
        """Writes the images of a batch.

        Raises:
            UserError: the folder can't be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for prediction in batch:
                if prediction.error is None:
                    with written_whole(self._folder / self._name(prediction.name)) as file:
                        _image(prediction.outputs[self._output]).save(file, format="png")
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"output: '{self._folder}' can't be written ({reason}). Name another folder.") from error

    def _name(self, example: str) -> str:
        path = Path(example)
        stem = path.name if example.endswith("]") else path.stem  # of an array: digits.npy[12]
        stem, number = stem or "picture", 1
        name = f"{stem}.png"
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}-{number}.png"
        self._taken.add(name.casefold())
        return name


def _image(pixels: np.ndarray) -> Image.Image:
    """Returns float (h, w, c) in 0..255 as a picture."""
    whole = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole)
