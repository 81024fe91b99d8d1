"""What the channels of an image are: grey, RGB or RGBA, and how an image of any of these is shown.

These are what TensorFlow decodes and what picture files hold. Everything that reads, draws or describes images goes by
this table.
"""

import numpy as np

# Pillow's names, by the number of channels.
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def opaque(images: np.ndarray) -> np.ndarray:
    """Returns images as they are shown: grey in three equal channels, and what is transparent on white.

    Args:
        images: uint8 [..., height, width, 1, 3 or 4], or float of 1 or 3 channels in any range.

    Returns:
        The same dtype, [..., height, width, 3]; of 1 or 3 channels a view that can't be written to.
    """
    if images.shape[-1] != 4:
        return np.broadcast_to(images, (*images.shape[:-1], 3))
    colors, alpha = images[..., :3].astype(np.float32), images[..., 3:].astype(np.float32) / 255
    return np.rint(colors * alpha + 255 * (1 - alpha)).astype(np.uint8)
