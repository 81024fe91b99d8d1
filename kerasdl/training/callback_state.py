"""The state of Keras callbacks as arrays and JSON: counters, best values, best weights.

Keras has no protocol for this. A callback's state is in its attributes; those made of plain values, arrays, tensors
and variables are saved. Others (functions, open files, the model) a callback creates again when training begins.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_SET_BY_KERAS = {"params", "_model", "model"}
# Where a callback writes is decided by the configuration, which may change it before the run is resumed.
_OUTPUT_PATHS = {"filepath", "log_dir", "_log_write_dir", "_train_dir", "_val_dir"}
_PLAIN = (type(None), bool, int, float, str)
# Callbacks that monitor a metric choose one of these in their first epoch, and set the sign of `min_delta` with it.
_COMPARISONS = {"less": keras.ops.less, "greater": keras.ops.greater}


class _Unsuitable(Exception):
    """A value that can't be saved."""


def capture(callback: keras.callbacks.Callback, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the state of `callback`: arrays, under names that begin with `name`, and values for JSON."""
    arrays: dict[str, np.ndarray] = {}
    values = {}
    for attribute, value in vars(callback).items():
        if not _is_state(callback, attribute):
            continue
        found: dict[str, np.ndarray] = {}
        try:
            values[attribute] = _encode(value, f"{name}/{attribute}", found)
        except _Unsuitable:
            continue
        arrays |= found
    return arrays, values


def restore(callback: keras.callbacks.Callback, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
    """Gives `callback` the state that `capture` returned; names that can't be state are left out."""
    for attribute, value in values.items():
        if _is_state(callback, attribute):
            setattr(callback, attribute, _decode(value, arrays, getattr(callback, attribute, None)))


def _is_state(callback: keras.callbacks.Callback, attribute: str) -> bool:
    own = getattr(type(callback), attribute, None)
    return attribute not in _SET_BY_KERAS | _OUTPUT_PATHS and not callable(own) and not isinstance(own, property)


def _encode(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.ndarray | np.generic | tf.Tensor | tf.Variable | keras.Variable):
        array = np.array(value)
        if array.dtype.hasobject:
            raise _Unsuitable
        arrays[path] = array
        return {"array": path}
    for name, comparison in _COMPARISONS.items():
        if value is comparison:
            return {"comparison": name}
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{path}/{i}", arrays) for i, item in enumerate(value)]
        return {type(value).__name__: items} if type(value) in (list, tuple) else _unsuitable()
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encode(item, f"{path}/{i}", arrays) for i, (key, item) in enumerate(value.items())}}
    raise _Unsuitable


def _unsuitable() -> Any:
    raise _Unsuitable


def _decode(value: Any, arrays: Mapping[str, np.ndarray], present: Any) -> Any:
    """Returns the value; an existing variable is kept and assigned to."""
    if not isinstance(value, dict):
        return value
    kind, content = next(iter(value.items()))
    if kind == "array":
        array = arrays[content]
        if isinstance(present, tf.Variable | keras.Variable):
            present.assign(array)
            return present
        return array if array.ndim else array[()]
    if kind == "comparison":
        return _COMPARISONS[content]
    if kind == "dict":
        known = present if isinstance(present, dict) else {}
        return {key: _decode(item, arrays, known.get(key)) for key, item in content.items()}
    known_items = list(present) if isinstance(present, list | tuple) and len(present) == len(content) else []
    items = [_decode(item, arrays, known_items[i] if known_items else None) for i, item in enumerate(content)]
    return tuple(items) if kind == "tuple" else items
