"""`python -m kerasdl.preview data=mnist data.augmentation.rotation=10`: a picture of what the network receives.

It shows the first training batch, augmented as in step 0 of training, with the class of each image below it. Wrong
labels, wrong channels and too strong an augmentation become visible before training.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from kerasdl import cli
from kerasdl.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

_MOST_IMAGES = 64
_COLUMNS = 8


def preview(config: DictConfig, path: Path) -> Path:
    """Writes a contact sheet of the first training batch, up to 64 images of it, as a PNG.

    Args:
        config: a composed configuration.
        path: the file to write.

    Returns:
        `path`.

    Raises:
        UserError: the data isn't available or has no images, or the file can't be written.
    """
    from kerasdl import data
    from kerasdl.seeds import derive
    from kerasdl.training.runtime import import_tensorflow

    features = data.check(config.data).features  # a mistake is reported before TensorFlow is imported
    image = next((name for name, feature in features.inputs.items() if feature.kind == "image"), None)
    if image is None:
        raise DataError(
            f"preview needs data with images. Received: {config.data.name} with {features.describe()}. "
            "Choose other data, e.g. data=mnist."
        )
    label = next((name for name, feature in features.targets.items() if feature.kind == "label"), None)
    import_tensorflow()
    import tensorflow as tf

    from kerasdl.data.augmentation import Augmentation

    loaded = data.load(config.data, config.seed, config.paths.cache_dir, print)
    batch = loaded.train.batch(loaded.train.epoch(0), tf.constant(0))
    images = tf.cast(batch[image][:_MOST_IMAGES], tf.float32)
    augment = Augmentation(config.data.augmentation)
    if augment:
        images = augment(images, tf.constant([derive(config.seed, "augmentation"), 0]))
    names = [""] * len(images)
    if label is not None:
        classes = features.targets[label].names
        names = [classes[number] for number in batch[label][:_MOST_IMAGES].numpy()]
    _write_sheet(images.numpy(), names, path)
    return path


def run(config: DictConfig) -> None:
    """Writes `preview-<data set>.png` into `paths.output_dir` and prints its path."""
    from kerasdl.config.checks import check

    check(config)
    name = config.data.name.replace("/", "-").replace(":", "-")
    print(preview(config, Path(config.paths.output_dir).expanduser().absolute() / f"preview-{name}.png"))


def _sheet(images: "np.ndarray", names: list[str]) -> "Figure":
    """Draws images, float (n, h, w, channels) in 0..255, in rows of eight with a name under each."""
    from matplotlib.figure import Figure

    from kerasdl.channels import opaque
    from kerasdl.figures.panels import fitted

    columns = min(_COLUMNS, len(images))
    rows = math.ceil(len(images) / columns)
    height = 1.2 * min(images.shape[1] / images.shape[2], 1.5)  # inches; taller images become narrower
    figure = Figure(figsize=(1.2 * columns, (height + 0.2) * rows), layout="constrained")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    pixels = images.round().astype("uint8")
    for axes, image, name in zip(figure.axes, pixels, names, strict=False):
        axes.imshow(opaque(image))
        axes.annotate(
            fitted(name, 110, 8), (0.5, 0), (0, -2), xycoords="axes fraction", textcoords="offset points",
            ha="center", va="top", fontsize=8, parse_math=False,
        )  # fmt: skip
    return figure


def _write_sheet(images: "np.ndarray", names: list[str], path: Path) -> None:
    from kerasdl.files import written_whole

    figure = _sheet(images, names)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        figure.savefig(file, format="png", dpi=120)


main = cli.hydra_main(run)

if __name__ == "__main__":
    main()
