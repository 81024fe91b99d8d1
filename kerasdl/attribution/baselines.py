"""What an image is compared with: an image that says nothing."""

import numpy as np

BASELINES = ("black", "white", "mean")


def baseline_images(images: np.ndarray, kind: str) -> np.ndarray:
    """Returns a plain image for each image.

    Args:
        images: pixels in 0..255, (n, h, w, c).
        kind: `black` (0), `white` (255) or `mean` (the mean of each image's own channels).

    Returns:
        float32 (n, h, w, c), one colour an image.

    Raises:
        ValueError: `kind` is none of these.
    """
    if kind not in BASELINES:
        raise ValueError(f"kind must be one of {', '.join(BASELINES)}. Received: '{kind}'.")
    images = np.asarray(images, "float32")
    if kind == "mean":
        return np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape).copy()
    return np.full_like(images, 0.0 if kind == "black" else 255.0)
