"""Images above their reconstructions by a network."""

import numpy as np
from matplotlib.figure import Figure

from kerasdl.channels import opaque

_MOST = 10


def reconstructions(images: np.ndarray, reconstructed: np.ndarray) -> Figure:
    """Draws the first ten images above their reconstructions.

    Args:
        images: (n, height, width, channels), 0..255, n >= 1.
        reconstructed: of the same shape, 0..255.
    """
    columns = min(_MOST, len(images))
    height, width = images.shape[1:3]
    figure = Figure(figsize=(columns, 2 * min(height / width, 2) + 0.3), layout="constrained")
    for row, pixels in zip(figure.subplots(2, columns, squeeze=False), (images, reconstructed), strict=True):
        for axes, pixel in zip(row, np.clip(np.rint(pixels), 0, 255).astype(np.uint8), strict=False):
            axes.axis("off")
            axes.imshow(opaque(pixel))
    figure.suptitle("images, and their reconstructions below", fontsize=9)
    return figure
