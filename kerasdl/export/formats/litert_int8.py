"""`model_int8.tflite`: LiteRT with weights and activations in 8-bit integers, for processors that have no floats.

Quantisation is the usual affine one, per channel for weights (Jacob et al. 2018, "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference"), after training. Scales of activations come from examples of
the training split: taken from validation or test, they would know what the network is measured by. Where all inputs are
images, their pixels go in as the bytes that they are; other numbers go in as float32 and are quantised inside.
"""

from pathlib import Path

import numpy as np

from kerasdl.errors import UserError
from kerasdl.export.formats.litert import converter, interpreter
from kerasdl.export.source import Source

CALIBRATION_EXAMPLES = 300
_KINDS = ("image", "number")


def unsuited(source: Source) -> str:
    """Returns why a model can't be written in this format; "" if it can."""
    others = [name for name, feature in source.signature.inputs.items() if feature.kind not in _KINDS]
    return f"8-bit integers need images and numbers as inputs, and {others[0]} is neither" if others else ""


def write(source: Source, path: Path) -> None:
    """Writes the file.

    Raises:
        UserError: a pixel's value would be rounded on its way in.
    """
    import tensorflow as tf

    from kerasdl.export.formats import endpoint

    features = source.signature.inputs
    columns = {
        name: with_full_range(source.calibration[name]) if feature.kind == "image" else source.calibration[name]
        for name, feature in features.items()
    }
    takes_bytes = all(feature.kind == "image" for feature in features.values())
    to_int8 = converter(endpoint.of_floats(source))
    to_int8.optimizations = [tf.lite.Optimize.DEFAULT]
    # By name: TensorFlow puts inputs into an order of its own.
    to_int8.representative_dataset = lambda: (
        {name: value[None].astype(np.float32) for name, value in zip(columns, example, strict=True)}
        for example in zip(*columns.values(), strict=True)
    )
    to_int8.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    to_int8.inference_input_type = tf.uint8 if takes_bytes else tf.float32
    to_int8.inference_output_type = tf.float32
    path.write_bytes(to_int8.convert())
    for scale, zero_point in input_quantizations(path) if takes_bytes else ():
        if (scale, zero_point) != (1.0, 0):
            raise UserError(f"pixels must go in with scale 1 and zero point 0. Received: {scale} and {zero_point}.")


def with_full_range(images: np.ndarray) -> np.ndarray:
    """Returns the images with at least one pixel 0 and one 255, so that the input's scale is 1 exactly.

    Only a darkest and a brightest pixel are changed, where need be. Added black and white images would do as well for
    the input, but stretch the ranges of all activations.

    Args:
        images: uint8 (n, height, width, channels), n >= 1.
    """
    images = images.copy()
    brightest, darkest = int(images.argmax()), int(images.argmin())
    if brightest == darkest:  # all pixels are alike
        brightest = images.size - 1
    images.flat[brightest], images.flat[darkest] = 255, 0
    return images


def input_quantizations(path: Path) -> list[tuple[float, int]]:
    """Returns (scale, zero point) of a file's inputs: a pixel's value is scale * (number - zero point)."""
    return [details["quantization"] for details in interpreter(path).get_input_details()]
