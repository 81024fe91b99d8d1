"""From `data.name` to a TFDS builder and what its metadata says, without TensorFlow.

Everything here is checked before anything expensive is done: the name, the features (one image, one label), the size of
the images and the names of the splits. Getting the files is left to `kerasdl.data.preparation`.
"""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.channels import MODES
from kerasdl.data.info import DataInfo
from kerasdl.errors import ConfigError, DataError

# Of sets that come with this package, where TFDS's metadata say nothing; see kerasdl/data/embedded.
_LICENCES = {"mnist": "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes, Christopher J.C. Burges)"}
_CHANNELS_WHERE_THEY_VARY = 3
_OWN_BUILDERS = {"digits": "kerasdl.data.digits.digits_dataset_builder"}


@dataclass(frozen=True)
class Segment:
    """A run of consecutive examples [start, stop) of one TFDS split."""

    split: str
    start: int
    stop: int


@dataclass(frozen=True)
class Entry:
    """A data set as the catalogue knows it: its builder, and which of its features are the image and the label."""

    builder: Any
    image_key: str
    label_key: str
    info: DataInfo
    resized: bool


def find(config: Any) -> Entry:
    """Returns the builder of `config.name` and its metadata; imports TFDS but not TensorFlow.

    Args:
        config: the `data` node of the configuration.

    Raises:
        DataError: no such data set, config or version; not an image classification set of at least two classes; images
            of another kind than uint8 grey, RGB or RGBA, or of varying size while `data.image_size` is null.
    """
    builder = _builder(config.name, data_dir(config))
    features = builder.info.features
    image_key, label_key = _keys(config.name, builder.info)
    image_shape = _image_shape(config, features[image_key])
    info = DataInfo(
        name="/".join(part for part in (builder.name, _builder_config(builder)) if part),
        version=str(builder.version),
        fingerprint="",
        image_shape=image_shape,
        class_names=_class_names(config.name, features[label_key]),
        licence=getattr(builder.info.redistribution_info, "license", "") or _LICENCES.get(builder.name, ""),
        citation=builder.info.citation or "",
    )
    resized = tuple(features[image_key].shape) != image_shape
    return Entry(builder, image_key, label_key, info, resized)


def data_dir(config: Any) -> Path:
    """Returns where TFDS's prepared data is: `data.data_dir`, else TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    chosen = config.data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser().absolute()


def segments(builder: Any, spec: str, key: str) -> list[Segment]:
    """Returns what a split such as `"train"`, `"train[80%:]"` or `"train+extra"` reads, in order.

    Args:
        builder: a prepared builder.
        spec: the split, in TFDS's syntax.
        key: the configuration key that it came from, for the error.

    Raises:
        DataError: no such split, or a slice that doesn't fit it.
    """
    from tensorflow_datasets.core.splits import AbstractSplit

    splits = builder.info.splits
    try:
        absolute = AbstractSplit.from_spec(spec).to_absolute(splits)
    except ValueError as error:
        names = ", ".join(f"{name} ({splits[name].num_examples:,})" for name in splits)
        reason = "" if _base_names(spec) - set(splits) else f" {str(error).strip().splitlines()[-1]}"
        raise DataError(
            f"{key} must be a split of {builder.info.full_name}, which has {names}, or a slice of one such as "
            f"'{next(iter(splits))}[80%:]'. Received: {spec!r}.{reason}"
        ) from error
    found = []
    for part in absolute:
        size = splits[part.splitname].num_examples
        start, stop, _ = slice(part.from_, part.to).indices(size)
        found.append(Segment(part.splitname, start, stop))
    if sum(max(part.stop - part.start, 0) for part in found) == 0:
        raise DataError(f"{key} selects no examples of {builder.info.full_name}. Received: {spec!r}.")
    return found


def _base_names(spec: str) -> set[str]:
    return {part.split("[")[0].strip() for part in spec.split("+")}


def _builder(name: str, directory: Path) -> Any:
    import tensorflow_datasets as tfds
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    base = re.split(r"[/:]", name, maxsplit=1)[0]
    if base in _OWN_BUILDERS:
        __import__(_OWN_BUILDERS[base])
    elif not (directory / base).is_dir():
        # A folder of that name may hold a set that the user prepared with a builder of their own; else it's TFDS's.
        _require_known(name, base)
    try:
        return tfds.builder(name, data_dir=directory)
    except (ValueError, AssertionError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        reason = re.sub(r"^Failed to construct dataset .*?}\": ", "", reason)
        if "BuilderConfig" in reason:
            reason = f"The configs of {base} are {', '.join(tfds.builder_cls(base).builder_configs)}."
        raise DataError(
            f"data.name must be a TFDS data set as name[/config][:version]. Received: {name!r}. {reason}"
        ) from error


def _require_known(name: str, base: str) -> None:
    # list_imported_builders (0.5 s) and not tfds.list_builders, which asks the network for community data sets.
    from tensorflow_datasets.core import registered

    known = {*registered.list_imported_builders(), *_OWN_BUILDERS}
    if base not in known:
        near = difflib.get_close_matches(base.lower(), sorted(known), n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "TFDS's catalogue lists the names."
        raise DataError(f"data.name must be the name of a TFDS data set. Received: {name!r}. {hint}")


def _builder_config(builder: Any) -> str:
    return builder.builder_config.name if builder.builder_config else ""


def _keys(name: str, info: Any) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    features = info.features if isinstance(info.features, tfds.features.FeaturesDict) else {}

    def of(keys: Any, kind: type) -> list[str]:
        return [key for key in keys if isinstance(key, str) and key in features and type(features[key]) is kind]

    for candidates in (info.supervised_keys or (), list(features)):
        images, labels = of(candidates, tfds.features.Image), of(candidates, tfds.features.ClassLabel)
        if len(images) == 1 and len(labels) == 1:
            return images[0], labels[0]
    raise DataError(
        f"data.name must be an image classification set: one image and one class label an example. Received: {name!r}, "
        f"which has {', '.join(f'{key} ({type(feature).__name__})' for key, feature in features.items()) or 'neither'}."
    )


def _class_names(name: str, feature: Any) -> tuple[str, ...]:
    names = tuple(feature.names) if feature.num_classes else ()  # without a number it has no names either
    if len(names) < 2:
        found = f"one, {names[0]!r}" if names else "a ClassLabel without names or a number of classes"
        raise DataError(f"data.name must be a data set of at least two classes. Received: {name!r} with {found}.")
    return names


def _image_shape(config: Any, feature: Any) -> tuple[int, int, int]:
    _check_kind(config.name, feature)
    height, width, channels = feature.shape
    if config.image_size is not None:
        sizes = list(config.image_size)
        if len(sizes) != 2 or any(size < 1 for size in sizes):
            raise ConfigError(f"data.image_size must be [height, width], each >= 1. Received: {sizes}.")
        height, width = sizes
    if height is None or width is None:
        raise DataError(
            f"The images of {config.name} vary in size: set data.image_size=[height,width], for example "
            "data.image_size=[64,64]. Received: null."
        )
    return int(height), int(width), int(channels or _CHANNELS_WHERE_THEY_VARY)


def _check_kind(name: str, feature: Any) -> None:
    """Raises DataError unless the images are of a kind that everything from training to the demo can handle."""
    shape, dtype = tuple(feature.shape), np.dtype(feature.np_dtype)
    if len(shape) != 3:
        advice = "Choose one frame of each example in the builder."
    elif dtype != np.uint8:
        # Which range is in use (12 of 16 bits, metres, ...) and which part matters only the builder's author knows.
        advice = f"Scale {dtype} pixels to 0..255 in the builder, by the range that the data uses."
    elif shape[2] and shape[2] not in MODES:
        advice = f"Choose {', '.join(map(str, list(MODES)[:-1]))} or {max(MODES)} channels in the builder."
    else:
        return
    kinds = ", ".join(MODES.values())
    raise DataError(
        f"The images of a data set must be uint8 of (height, width, channels): {kinds}. Received: {name} with {dtype} "
        f"({', '.join(map(str, shape))}). {advice}"
    )
