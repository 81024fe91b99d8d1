"""Checks the arguments of `network(...)` by the signature: an array for one input, arrays by name for several."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasdl.data.features import Feature
from kerasdl.errors import UserError
from kerasdl.models.signature import Signature


def checked(signature: Signature, inputs: Any) -> Any:
    """Returns the inputs as the model takes them: an array, or a dict of arrays.

    Args:
        signature: of the model.
        inputs: an array (n, *shape) for a single input; a dict or a DataFrame with an array for each of several
            inputs. Other names are ignored.

    Raises:
        UserError: an input is missing, or has another type or shape.
    """
    named = isinstance(inputs, Mapping) or hasattr(inputs, "columns")
    if len(signature.inputs) == 1:
        ((name, feature),) = signature.inputs.items()
        return _array(name, feature, inputs[name] if named and name in inputs else inputs)
    names = ", ".join(signature.inputs)
    if not named:
        raise UserError(
            f"inputs must be a dict or a DataFrame with {names}. Received: {type(inputs).__name__}"
            f"{f' {inputs.shape}' if isinstance(inputs, np.ndarray) else ''}."
        )
    if missing := [name for name in signature.inputs if name not in inputs]:
        raise UserError(f"inputs must have {names}. Missing: {', '.join(missing)}.")
    arrays = {name: _array(name, feature, inputs[name]) for name, feature in signature.inputs.items()}
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise UserError(f"inputs must all have the same length. Received: {sizes}.")
    return arrays


def _array(name: str, feature: Feature, values: Any) -> np.ndarray:
    array = np.asarray(values)
    shape = ", ".join(map(str, ("n", *feature.shape))) + ("" if feature.shape else ",")
    if feature.kind == "image":
        if array.dtype != np.uint8 or array.shape[1:] != feature.shape:
            raise UserError(
                f"images must be uint8 ({shape}). Received: {array.dtype} {array.shape}. For files use "
                "network.predict('*.png')."
            )
        return array
    if array.dtype.kind not in "fiub" or array.ndim < 1 or array.shape[1:] != feature.shape:
        raise UserError(f"{name} must be numbers ({shape}). Received: {array.dtype} {array.shape}.")
    return array.astype(feature.dtype)
