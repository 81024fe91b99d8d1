"""The channels of an image: grey, RGB or RGBA, and how such an image is shown.

TensorFlow decodes these, and picture files hold these. All code that reads, draws or describes images uses this table.
"""

import numpy as np

# Pillow's names, by the number of channels.
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def opaque(images: np.ndarray) -> np.ndarray:
    """Returns images as they are shown: grey in three equal channels, transparent ones on white.

    Args:
        images: uint8 [..., height, width, 1, 3 or 4], or float of 1 or 3 channels in any range.

    Returns:
        The same dtype, [..., height, width, 3]; for 1 or 3 channels a read-only view.
    """
    if images.shape[-1] != 4:
        return np.broadcast_to(images, (*images.shape[:-1], 3))
    colors, alpha = images[..., :3].astype(np.float32), images[..., 3:].astype(np.float32) / 255
    return np.rint(colors * alpha + 255 * (1 - alpha)).astype(np.uint8)
