"""Any data set of TFDS with one image per example, by its name: a `kerasdl.data.source.Source`.

Its metadata is read here, without TensorFlow and before anything expensive is done: the name, the features, the size of
the images. `kerasdl.data.preparation` brings its files to this machine, `kerasdl.data.content` identifies them,
`kerasdl.data.decoding` decodes examples, and `kerasdl.data.decoded` keeps them decoded.
"""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.channels import MODES
from kerasdl.data import content, preparation
from kerasdl.data.features import Features, image, label
from kerasdl.data.source import DataInfo, Example, Report, Segment
from kerasdl.errors import ConfigError, DataError

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasdl.data.decoded import Cache

# Of data sets that are part of this package, where TFDS's metadata has none; see kerasdl/data/embedded.
_LICENCES = {"mnist": "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes, Christopher J.C. Burges)"}
_CHANNELS_WHERE_THEY_VARY = 3
_OWN_BUILDERS = {"digits": "kerasdl.data.digits.digits_dataset_builder"}


class Tfds:
    """A data set of TFDS with one image, and a class label if it has one; see `kerasdl.data.source.Source`.

    Args:
        config: the `data` node of the configuration: `name`, `data_dir`, `manual_dir`, `image_size`.

    Attributes:
        builder: TFDS's.
        image_key, label_key: the names of the two features in TFDS; `label_key` is None if there is no label.
        resized: whether images are resized when they are decoded.

    Raises:
        ConfigError: an invalid `image_size`.
        DataError: no such data set, config or version; not one image per example; a label of fewer than two classes;
            images of another kind than uint8 grey, RGB or RGBA, or of varying size while `data.image_size` is null.
    """

    def __init__(self, config: Any):
        self.config = config
        self.builder = _builder(config.name, preparation.data_dir(config))
        features = self.builder.info.features
        self.image_key, self.label_key = _keys(config.name, self.builder.info)
        shape = _image_shape(config, features[self.image_key])
        self.resized = tuple(features[self.image_key].shape) != shape
        targets = {}
        if self.label_key:
            targets["label"] = label(_class_names(config.name, features[self.label_key]))
        licence = getattr(self.builder.info.redistribution_info, "license", "")
        name = "/".join(part for part in (self.builder.name, _builder_config(self.builder)) if part)
        version = str(self.builder.version)
        self._cache: Cache | None = None
        self.info = DataInfo(
            name=name,
            version=version,
            features=Features({"image": image(*shape)}, targets),
            uri=f"tfds://{name}/{version}",
            licence=licence or _LICENCES.get(self.builder.name, ""),
            citation=self.builder.info.citation or "",
        )

    @property
    def splits(self) -> dict[str, int]:
        if not self.builder.is_prepared():
            return {}
        return {name: int(split.num_examples) for name, split in self.builder.info.splits.items()}

    def check_files(self) -> None:
        preparation.check_files(self.builder, self._title, self.config)

    def prepared(self, cache_dir: str, report: Report) -> "Tfds":
        from kerasdl.data.decoded import Cache

        source = self
        if not self.builder.is_prepared():
            preparation.prepare(lambda: Tfds(self.config).builder, self._title, self.config, report)
            source = Tfds(self.config)
        source.info = content.identified(source.info, source.builder, cache_dir, report)
        source._cache = Cache(source, cache_dir, report)
        return source

    def read(self, spec: str, segments: Sequence[Segment], names: Sequence[str]) -> dict[str, np.ndarray]:
        assert self._cache, "the data is prepared before it is read"
        return self._cache.read(spec, segments, names)

    def stream(self, segments: Sequence[Segment]) -> "tf.data.Dataset":
        from kerasdl.data.decoding import encoded

        return encoded(self, segments)

    def decode(self, stored: Example) -> Example:
        from kerasdl.data.decoding import decode_image

        return {**stored, "image": decode_image(self, stored["image"])}

    def blocks(self, split: str) -> Sequence[int]:
        return self.builder.info.splits[split].shard_lengths  # a file can only be read from its beginning

    @property
    def _title(self) -> str:
        return f"{self.info.name} {self.info.version}"


def _builder(name: str, directory: Path) -> Any:
    import tensorflow_datasets as tfds
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    base = re.split(r"[/:]", name, maxsplit=1)[0]
    if base in _OWN_BUILDERS:
        __import__(_OWN_BUILDERS[base])
    elif not (directory / base).is_dir():
        # A folder of that name may hold a data set that the user prepared with their own builder; else it is TFDS's.
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


def _keys(name: str, info: Any) -> tuple[str, str | None]:
    """Returns the names of the image and of the label, if there is one, in TFDS."""
    import tensorflow_datasets as tfds

    features = info.features if isinstance(info.features, tfds.features.FeaturesDict) else {}

    def of(keys: Any, kind: type) -> list[str]:
        return [key for key in keys if isinstance(key, str) and key in features and type(features[key]) is kind]

    for candidates in (info.supervised_keys or (), list(features)):
        images, labels = of(candidates, tfds.features.Image), of(candidates, tfds.features.ClassLabel)
        if len(images) == 1 and len(labels) == 1:
            return images[0], labels[0]
    if len(images) == 1 and not labels:
        return images[0], None
    raise DataError(
        f"data.name must be a data set with one image and at most one class label per example. Received: {name!r}, "
        f"which has {', '.join(f'{key} ({type(feature).__name__})' for key, feature in features.items()) or 'neither'}."
    )


def _class_names(name: str, feature: Any) -> tuple[str, ...]:
    names = tuple(feature.names) if feature.num_classes else ()  # without a number of classes there are no names either
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
    """Raises DataError unless the images are of a kind that every command supports."""
    shape, dtype = tuple(feature.shape), np.dtype(feature.np_dtype)
    if len(shape) != 3:
        advice = "Choose one frame of each example in the builder."
    elif dtype != np.uint8:
        # Only the builder's author knows which range is used (12 of 16 bits, metres, ...) and which part of it matters.
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
