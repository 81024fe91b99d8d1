"""The story of loading: find the data set, prepare it, divide it, and hold it in memory or stream it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerasdl.data import memory_budget, subsets
from kerasdl.data.info import Data, DataInfo, Split
from kerasdl.errors import ConfigError, DataError

_KEYS = {"train": "data.train_split", "validation": "data.validation", "test": "data.test_split"}


@dataclass(frozen=True)
class _Part:
    """What a split of the run reads: a TFDS split `spec`, and in it the examples at `indices`."""

    name: str
    spec: str
    segments: tuple[Any, ...]
    indices: np.ndarray

    @property
    def total(self) -> int:
        """Examples of the TFDS split."""
        return sum(segment.stop - segment.start for segment in self.segments)


def check(config: Any) -> DataInfo:
    """Says whether a data set can be had, without TensorFlow and without preparing anything.

    Args:
        config: the `data` node of the configuration, its ranges checked by `kerasdl.config.checks`.

    Returns:
        What the metadata says; `fingerprint`, which takes reading the data, is empty.

    Raises:
        ConfigError: `memory_budget` or `validation` can't be read, or splits share examples.
        DataError: no such data set or split, files missing and no network, or images of varying size.
    """
    return _find(config).info


def load(config: Any, seed: int, cache_dir: str, report: Callable[[str], None] = lambda line: None) -> Data:
    """Returns a data set ready to be trained on; prepares and decodes it first if that hasn't been done.

    Args:
        config: the `data` node of the configuration.
        seed: the run's seed, which decides the order of examples and what is held out for validation.
        cache_dir: where decoded examples are kept between runs.
        report: takes one line of progress.

    Raises:
        ConfigError: `memory_budget` or `validation` can't be read, or splits share examples.
        DataError: the data can't be had, read, or doesn't suit; see `check`.
    """
    from kerasdl.data import content, preparation
    from kerasdl.data.decoded import Cache

    budget = memory_budget.parse(config.memory_budget)
    entry = preparation.prepare(_find(config), config, report)
    entry = replace(entry, info=content.identified(entry.info, entry.builder, cache_dir, report))
    parts = _parts(entry.builder, config, seed)
    totals = {part.spec: part.total for part in parts}
    nbytes = sum(totals.values()) * math.prod(entry.info.image_shape)
    resident = nbytes <= budget
    cache = Cache(entry, cache_dir, report)
    decoded = {part.spec: cache.read(part.spec, list(part.segments), images=resident) for part in parts}
    build = _resident if resident else _streamed
    splits = build(entry, parts, decoded, config, seed)
    return Data(
        info=entry.info,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        resident=resident,
        nbytes=nbytes,
    )


def check_classes(config: Any, data: Data, warn: Callable[[str], None]) -> None:
    """Refuses to train on examples of one class, on which any network is soon right every time.

    Args:
        config: the `data` node of the configuration.
        data: what `load` gave for it.
        warn: takes a line if only the few examples that `fraction` or `batches` keep are of one class, which is no
            fault where a run is only tried out.

    Raises:
        DataError: all training examples are of one class.
    """
    counts = data.train.class_counts()
    if np.count_nonzero(counts) > 1:
        return
    name = data.info.class_names[counts.argmax()]
    found = f"training examples are of the class {name!r}"
    if config.fraction < 1 or config.batches is not None:
        warn(f"all {data.train.size:,} {found} with data.fraction={config.fraction} and data.batches={config.batches}.")
        return
    raise DataError(
        f"data.train_split must have examples of at least two classes. Received: {config.train_split!r}, where all "
        f"{data.train.size:,} {found}. Take a larger part of the split, or mix its examples in the builder."
    )


def _find(config: Any) -> Any:
    """Returns the catalogue's entry of a data set whose splits and files have been checked."""
    from kerasdl.data import catalog, preparation

    memory_budget.parse(config.memory_budget)
    entry = catalog.find(config)
    preparation.check_files(entry, config)
    if entry.builder.is_prepared():
        _parts(entry.builder, config, seed=0)
    return entry


def _parts(builder: Any, config: Any, seed: int) -> list[_Part]:
    """Divides the TFDS splits into the splits of the run."""
    from kerasdl.data import catalog

    named = {"train": config.train_split}
    if isinstance(config.validation, str):
        named["validation"] = config.validation
    if config.test_split:
        named["test"] = config.test_split
    found = {name: tuple(catalog.segments(builder, spec, _KEYS[name])) for name, spec in named.items()}
    _check_disjoint(named, found)
    indices = {name: np.arange(sum(part.stop - part.start for part in parts)) for name, parts in found.items()}
    if not isinstance(config.validation, str):
        train, held_out = subsets.hold_out(len(indices["train"]), config.validation or 0, seed)
        indices["train"] = train
        if len(held_out):
            indices["validation"], found["validation"], named["validation"] = held_out, found["train"], named["train"]
    parts = []
    for name in sorted(indices, key=["train", "validation", "test"].index):
        kept = subsets.keep_fraction(indices[name], config.fraction, seed, name)
        kept = subsets.keep_batches(kept, config.batches, _batch_size(config, name))
        parts.append(_Part(name, named[name], found[name], kept))
    return parts


def _check_disjoint(named: dict[str, str], found: dict[str, tuple[Any, ...]]) -> None:
    names = list(found)
    for at, name in enumerate(names):
        for other in names[at + 1 :]:
            if {name, other} == {"train", "validation"} and named[name] == named[other]:
                continue  # validating on the training examples themselves: how overfitting on purpose is measured
            for a in found[name]:
                for b in found[other]:
                    if a.split == b.split and max(a.start, b.start) < min(a.stop, b.stop):
                        raise ConfigError(
                            f"{_KEYS[name]} and {_KEYS[other]} must not share examples. Received: {named[name]!r} and "
                            f"{named[other]!r}. Slice them apart, for example {a.split}[:80%] and {a.split}[80%:]."
                        )


def _batch_size(config: Any, name: str) -> int:
    return config.batch_size if name == "train" else config.evaluation_batch_size


def _resident(entry: Any, parts: list[_Part], decoded: dict[str, Any], config: Any, seed: int) -> dict[str, Split]:
    import tensorflow as tf

    from kerasdl.data.order import WholeOrder
    from kerasdl.data.resident import ResidentSplit, pack

    tensors = {spec: (pack(d.images), tf.constant(d.labels)) for spec, d in decoded.items()}
    return {
        part.name: ResidentSplit(
            part.name,
            *tensors[part.spec],
            WholeOrder(part.indices, seed, shuffle=config.shuffle and part.name == "train"),
            image_shape=entry.info.image_shape,
            batch_size=_batch_size(config, part.name),
            classes=entry.info.classes,
        )
        for part in parts
    }


def _streamed(entry: Any, parts: list[_Part], decoded: dict[str, Any], config: Any, seed: int) -> dict[str, Split]:
    from kerasdl.data.streamed import StreamedSplit

    return {
        part.name: StreamedSplit(
            part.name,
            entry,
            part.segments,
            part.indices,
            decoded[part.spec].labels,
            seed=seed,
            shuffle=config.shuffle and part.name == "train",
            window=config.shuffle_window,
            batch_size=_batch_size(config, part.name),
        )
        for part in parts
    }
