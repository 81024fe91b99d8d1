"""The table of corruptions with their five severities, and `corrupt`, which applies one.

Amounts are shares of the pixel range, of the image's side or of its area, so that one table serves images from 8x8 to
224x224. Noise, contrast and brightness have the amounts of Hendrycks and Dietterich, rotation, shear, scale and
translation those of MNIST-C, angles rounded; MNIST-C's single stripe and edges are severity 5, its single line severity
1. Blurs, fog and spatter, which the sources state in pixels of one size, are set so that severity 3 on 28x28 is plain
to see and legible. So these numbers do not compare with those of `mnist_corrupted` in TFDS, which has the originals.

Every corruption is a function `(images, amount, rng) -> images` on float32 images [n, h, w, c] in [0, 1] that doesn't
change its argument; what it returns may lie outside of [0, 1] and is clipped here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasdl.channels import MODES
from kerasdl.robustness.corruptions.blur import gaussian_blur, glass_blur, motion_blur
from kerasdl.robustness.corruptions.edges import canny_edges
from kerasdl.robustness.corruptions.geometry import rotate, scale, shear, translate
from kerasdl.robustness.corruptions.noise_and_light import (
    brightness,
    contrast,
    gaussian_noise,
    impulse_noise,
    shot_noise,
)
from kerasdl.robustness.corruptions.occlusion import occlusion, stripe
from kerasdl.robustness.corruptions.strokes import dotted_line, zigzag
from kerasdl.robustness.corruptions.weather import fog, spatter
from kerasdl.seeds import derive

SEVERITIES = (1, 2, 3, 4, 5)
# Images corrupted at once, with a generator of their own: bounds the memory, and is part of what an image's random
# numbers depend on: another number gives other noise.
_BLOCK = 64


@dataclass(frozen=True)
class Corruption:
    """One row of the table.

    Attributes:
        function: from (images float32 [n, h, w, c] in [0, 1], amount, generator) to images of the same shape.
        amounts: the amount at severities 1 to 5.
        unit: what an amount is.
    """

    function: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
    amounts: tuple[float, float, float, float, float]
    unit: str


CORRUPTIONS = {
    "gaussian_noise": Corruption(gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38), "standard deviation, of the range"),
    "shot_noise": Corruption(shot_noise, (60, 25, 12, 5, 3), "photons of a white pixel"),
    "impulse_noise": Corruption(impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27), "share of the values"),
    "gaussian_blur": Corruption(gaussian_blur, (0.02, 0.03, 0.045, 0.06, 0.08), "standard deviation, of the side"),
    "motion_blur": Corruption(motion_blur, (0.1, 0.15, 0.2, 0.3, 0.4), "length of the movement, of the side"),
    "glass_blur": Corruption(glass_blur, (0.03, 0.045, 0.06, 0.08, 0.11), "farthest displacement, of the side"),
    "contrast": Corruption(contrast, (0.4, 0.3, 0.2, 0.1, 0.05), "contrast that is left"),
    "brightness": Corruption(brightness, (0.1, 0.2, 0.3, 0.4, 0.5), "light added, of the range"),
    "fog": Corruption(fog, (1.0, 1.5, 2.0, 2.5, 3.0), "thickness, in ranges"),
    "rotate": Corruption(rotate, (12, 24, 36, 48, 60), "degrees, to either side"),
    "shear": Corruption(shear, (0.2, 0.4, 0.6, 0.8, 1.0), "columns a row, to either side"),
    "scale": Corruption(scale, (0.9, 0.8, 0.7, 0.6, 0.5), "size that is left"),
    "translate": Corruption(translate, (1 / 28, 2 / 28, 3 / 28, 4 / 28, 5 / 28), "of height and of width, either way"),
    "occlusion": Corruption(occlusion, (0.04, 0.09, 0.16, 0.25, 0.36), "share of the area"),
    "stripe": Corruption(stripe, (0.1, 0.2, 0.3, 0.4, 0.5), "share of the width"),
    "spatter": Corruption(spatter, (0.05, 0.1, 0.15, 0.2, 0.3), "share of the area, on average"),
    "dotted_line": Corruption(dotted_line, (1, 2, 3, 4, 5), "lines"),
    "zigzag": Corruption(zigzag, (1, 2, 3, 4, 5), "lines"),
    "canny_edges": Corruption(canny_edges, (0.2, 0.4, 0.6, 0.8, 1.0), "share of the edges in the mixture"),
}

# What moves or mixes pixels takes their transparency along; the others change colours only.
_MOVING = {"gaussian_blur", "motion_blur", "glass_blur", "rotate", "shear", "scale", "translate"}

# Of any images.
COMMON = tuple(list(CORRUPTIONS)[:14])
# The list of MNIST-C, in the order of the paper: `mnist_corrupted` in TFDS, which has one severity of each.
MNIST_C = (
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "shear",
    "scale",
    "rotate",
    "brightness",
    "translate",
    "stripe",
    "fog",
    "spatter",
    "dotted_line",
    "zigzag",
    "canny_edges",
)


def corrupt(images: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """Returns corrupted images.

    The result for an image depends on (name, severity, seed), on the image and on its place in `images`, not on how
    many come after it.

    Args:
        images: uint8 [n, h, w, c], c 1, 3 or 4: grey, RGB or RGBA.
        name: a key of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: an int >= 0 that all random numbers come from.

    Returns:
        uint8 of the same shape; `images` is left as it is.

    Raises:
        ValueError: `images` aren't of this kind, or there is no such severity.
        KeyError: there is no such corruption.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in MODES:
        received = f"{images.dtype} {list(images.shape)}"
        raise ValueError(f"images must be uint8 [n, h, w, 1, 3 or 4]. Received: {received}.")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1, 2, 3, 4 or 5. Received: {severity!r}.")
    corruption = CORRUPTIONS[name]
    channels = images.shape[3] if name in _MOVING else min(images.shape[3], 3)
    corrupted = images.copy()
    for block, start in enumerate(range(0, len(images), _BLOCK)):
        part = slice(start, start + _BLOCK)
        rng = np.random.default_rng(derive(seed, "corruption", name, severity, block))
        clean = images[part, ..., :channels].astype(np.float32) / np.float32(255)
        changed = corruption.function(clean, corruption.amounts[severity - 1], rng)
        corrupted[part, ..., :channels] = np.rint(np.clip(changed, 0, 1) * 255)
    return corrupted
