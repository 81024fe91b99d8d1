"""One picture, of any format, mode and size, as uint8 pixels of the network's shape.

The network was trained on the images of a data set, so the picture is converted to look like one: upright, grey or RGB
and opaque, or RGBA, resized by the same method as in `kerasdl.data.decoding`. Pillow reads it; the pixels of a picture
that already fits are unchanged.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kerasdl.channels import MODES

BACKGROUNDS = ("white", "black")

_WITH_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


class BrokenImage(Exception):
    """A picture that can't be used; the message is the reason, in a few words and without the picture's name."""


def pixels(
    content: Path | bytes | np.ndarray | Image.Image,
    image_shape: Sequence[int],
    invert: bool = False,
    background: str = "white",
) -> np.ndarray:
    """Returns the pixels of a picture as a network takes them.

    - Upright, as its EXIF orientation says; the first frame of an animation.
    - Transparent pixels are put on a background. A network of RGBA images receives the transparency itself; a picture
      without any is opaque.
    - 16 bits of grey are divided by 257, so that 65535 becomes 255; mode I counts as 16 bits.
    - Floats (mode F) are taken as 0..1 if none is greater than 1, else as 0..255.
    - Grey from colours by ITU-R 601-2 luma (Pillow's); colours from grey by repetition. Colour profiles are ignored, as
      they are in training.
    - Of another size: bilinear with antialiasing in float, rounded, the aspect ratio not kept, as
      `tf.image.resize(..., antialias=True)` does it for the data sets.

    Args:
        content: a file's path, its bytes, a Pillow image, or uint8 [h, w] or [h, w, c] with 1 to 4 channels: grey,
            grey and alpha, RGB, RGBA.
        image_shape: the network's (height, width, channels), with 1, 3 or 4 channels.
        invert: whether to return 255 - pixels, transparency excepted: paper digits are dark on light, MNIST's light on
            dark.
        background: "white" or "black", before inversion.

    Returns:
        uint8 [height, width, channels].

    Raises:
        BrokenImage: it isn't a picture, it is truncated or too large (Pillow's limit), or its values are out of range.
    """
    height, width, channels = image_shape
    try:
        planes = _planes(_opened(content), channels, background)
    except BrokenImage:
        raise
    # Pillow raises any kind of exception for a broken file: struct.error, IndexError, zlib.error, ...
    except Exception as error:
        empty = isinstance(error, UnidentifiedImageError) and _size(content) == 0
        raise BrokenImage("an empty file" if empty else reason(error)) from error
    if planes[0].size != (width, height):
        planes = [plane.convert("F").resize((width, height), Image.Resampling.BILINEAR) for plane in planes]
    found = np.stack([np.asarray(plane) for plane in planes], axis=-1)
    if found.dtype != np.uint8:
        found = np.clip(np.rint(found), 0, 255).astype(np.uint8)
    if invert:
        found[..., :3] = 255 - found[..., :3]
    return found


def _opened(content: Path | bytes | np.ndarray | Image.Image) -> Image.Image:
    """Returns the picture, read completely and upright."""
    if isinstance(content, np.ndarray):
        array = np.ascontiguousarray(content)  # reads a memory-mapped array
        if 0 in array.shape:
            raise BrokenImage("it has no pixels")
        return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array)
    if isinstance(content, Image.Image):
        return ImageOps.exif_transpose(content)
    with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
        ImageOps.exif_transpose(image, in_place=True)
        image.load()  # while the file is open
        return image


def _size(content: Path | bytes | np.ndarray | Image.Image) -> int | None:
    if isinstance(content, Path):
        return content.stat().st_size
    return len(content) if isinstance(content, bytes) else None


def _planes(image: Image.Image, channels: int, background: str) -> list[Image.Image]:
    """Returns one plane of mode L, or F in 0..255, for each channel."""
    is_opaque = channels < 4
    if image.mode == "F" or image.mode.startswith("I"):  # I, I;16, I;16B, ...
        levels, transparent = _levels(image)
        if is_opaque:
            levels[transparent] = 255 if background == "white" else 0
            return [Image.fromarray(levels)] * channels
        return [Image.fromarray(levels)] * 3 + [Image.fromarray(np.where(transparent, np.float32(0), np.float32(255)))]
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        image = image.convert(_PREMULTIPLIED.get(image.mode, "RGBA")).convert("RGBA")
        if is_opaque:
            image = Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")
    if image.mode not in ("1", *MODES.values()):
        image = image.convert("RGB")
    mode = MODES[channels]
    return list((image if image.mode == mode else image.convert(mode)).split())


def _levels(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Returns the grey levels, and which pixels are transparent, of a picture with one integer or float per pixel.

    Returns:
        float32 [h, w] in 0..255, and bool [h, w].
    """
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "F":
        if not (low >= 0 and high <= 255):  # NaN fails, too
            raise BrokenImage(f"its floats must be in 0..1 or 0..255, but range from {low:g} to {high:g}")
        return (np.float32(255) * values if high <= 1 else values.copy()), np.zeros(values.shape, bool)
    if not (low >= 0 and high <= 65535):
        raise BrokenImage(f"its integers must fit into 16 bits, but range from {low} to {high}")
    transparent = values == image.info.get("transparency", -1)  # PNG: the one value that is transparent
    return values.astype(np.float32) / np.float32(257), transparent


def reason(error: Exception) -> str:
    """Returns why a file can't be used, in a few words and without its name."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that Pillow can read"
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"larger than twice Pillow's limit of {Image.MAX_IMAGE_PIXELS or 0:,} pixels (PIL.Image.MAX_IMAGE_PIXELS)"
        )
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, OSError | SyntaxError | EOFError | ValueError) and str(error):
        return str(error)  # Pillow's and NumPy's own messages
    return f"{type(error).__name__}: {error}"
