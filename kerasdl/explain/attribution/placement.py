"""Where in the image the cells of a feature map lie.

A feature map is smaller than the image for two reasons: strides, and convolutions that don't look beyond the border.
To stretch it over the whole image is right for the first and wrong for the second: in LeNet on 28x28 the 4x4 cells of
the last pooling have their centres at pixels 7.5 to 19.5, not at 3 to 24. So the centres are followed through the
network, layer by layer.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# Of one axis: pixels from cell to cell, and the pixel under the centre of the first cell.
Axis = tuple[float, float]

_WINDOWS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)


def enlarging(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Returns what enlarges a layer's map to the image: `rows @ map @ columns.T`.

    Between the centres of cells the enlargement is linear; outside the outermost ones it is constant. Where the cells
    lie isn't known after layers that mix places, or branches that disagree: then the map is stretched over the image.

    Args:
        model: from images (b, h, w, c) to two outputs, the second a layer's feature maps (b, h', w', maps).

    Returns:
        rows (h, h') and columns (w, w'), float32; every row of both sums to 1.
    """
    sides, cells = model.input_shape[1:3], model.outputs[1].shape[1:3]
    axes = _axes(model) or [(side / count, side / count / 2 - 0.5) for side, count in zip(sides, cells, strict=True)]
    return tuple(map(_interpolation, sides, cells, axes))  # type: ignore[return-value]


def _interpolation(side: int, cells: int, axis: Axis) -> np.ndarray:
    """Returns float32 (side, cells): how much each cell counts at each pixel."""
    spacing, first = axis
    positions = np.clip((np.arange(side) - first) / spacing, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(cells))).astype("float32")


def _axes(model: keras.Model) -> Sequence[Axis] | None:
    """Returns the rows' and the columns' `Axis` of the second output, or None."""
    known: dict[int, Sequence[Axis]] = {}
    kept: list[Any] = []  # so that no tensor's id is used again

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        inputs = [x for x in keras.tree.flatten((args, kwargs)) if hasattr(x, "shape") and len(x.shape) == 4]
        output = layer(*args, **kwargs)
        kept.append(output)
        came = [known.get(id(x)) for x in inputs]
        if inputs and came[0] is not None and all(axes == came[0] for axes in came):
            axes = _after(layer, inputs[0].shape[1:3], getattr(output, "shape", ())[1:3], came[0])
            if axes is not None:
                known[id(output)] = axes
        return output

    image = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)
    known[id(image)] = [(1.0, 0.0), (1.0, 0.0)]
    copy = keras.models.clone_model(model, input_tensors=image, clone_function=lambda layer: layer, call_function=call)
    return known.get(id(copy.outputs[1]))


def _after(
    layer: keras.layers.Layer, sides: Sequence[int], cells: Sequence[int], axes: Sequence[Axis]
) -> Sequence[Axis] | None:
    """Returns the axes of a layer's output from those of its input, whose sides are given, as are the output's."""
    if isinstance(layer, _WINDOWS):
        windows = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
        dilations = getattr(layer, "dilation_rate", (1, 1))
        strides = np.broadcast_to(layer.strides, 2)
        found = []
        for axis, side, count, window, dilation, stride in zip(
            axes, sides, cells, windows, np.broadcast_to(dilations, 2), strides, strict=True
        ):
            reach = (window - 1) * dilation
            padded = max((count - 1) * stride + reach + 1 - side, 0) // 2 if layer.padding == "same" else 0
            found.append(_moved(axis, reach / 2 - padded, stride))
        return found
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return [_moved(axis, -before) for axis, (before, _) in zip(axes, layer.padding, strict=True)]
    if isinstance(layer, keras.layers.Cropping2D):
        return [_moved(axis, before) for axis, (before, _) in zip(axes, layer.cropping, strict=True)]
    if isinstance(layer, keras.layers.UpSampling2D):
        return [_moved(axis, 0.5 / factor - 0.5, 1 / factor) for axis, factor in zip(axes, layer.size, strict=True)]
    return axes if tuple(cells) == tuple(sides) else None  # activations, normalisations, sums, dropout


def _moved(axis: Axis, cells: float, spacing: float = 1.0) -> Axis:
    """Returns an axis that begins so many cells later and has cells `spacing` times as far apart."""
    return float(axis[0] * spacing), float(axis[1] + axis[0] * cells)
