"""Loads a data set: finds it, prepares it, splits it, and holds it in memory or streams it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasdl.config.instantiate import locate
from kerasdl.data import memory_budget, subsets
from kerasdl.data.source import DataInfo, Segment, Source, segments
from kerasdl.data.splits import Data, Split
from kerasdl.errors import ConfigError

_KEYS = {"train": "data.train_split", "validation": "data.validation", "test": "data.test_split"}


@dataclass(frozen=True)
class _Part:
    """What a split of the run reads: the examples at `indices` in a split `spec` of the source."""

    name: str
    spec: str
    segments: tuple[Segment, ...]
    indices: np.ndarray

    @property
    def total(self) -> int:
        """Number of examples in the source's split."""
        return sum(map(len, self.segments))


def check(config: Any) -> DataInfo:
    """Checks whether a data set is available, without TensorFlow and without preparing anything.

    Args:
        config: the `data` node of the configuration, its ranges checked by `kerasdl.config.checks`.

    Returns:
        The metadata; `fingerprint`, which needs the data itself, is empty.

    Raises:
        ConfigError: `memory_budget` or `validation` can't be read, or splits share examples.
        DataError: no such data set or split, files missing and no network, or examples of an unsupported kind.
    """
    return _find(config).info


def load(config: Any, seed: int, cache_dir: str, report: Callable[[str], None] = lambda line: None) -> Data:
    """Returns a data set ready for training; prepares and decodes it first if that hasn't been done.

    Args:
        config: the `data` node of the configuration.
        seed: the run's seed, which decides the order of examples and what is held out for validation.
        cache_dir: where decoded examples are kept between runs.
        report: receives lines of progress.

    Raises:
        ConfigError: `memory_budget` or `validation` can't be read, or splits share examples.
        DataError: the data isn't available, can't be read, or isn't supported; see `check`.
    """
    budget = memory_budget.parse(config.memory_budget)
    source = _find(config).prepared(cache_dir, report)
    features = source.info.features
    parts = _parts(source, config, seed)
    totals = {part.spec: part.total for part in parts}
    nbytes = sum(totals.values()) * features.nbytes
    resident = nbytes <= budget
    names = [name for name, feature in features.all.items() if resident or feature.is_scalar]
    columns = {part.spec: source.read(part.spec, part.segments, names) for part in parts}
    splits = (
        _resident(source, parts, columns, config, seed) if resident else _streamed(source, parts, columns, config, seed)
    )
    return Data(
        info=source.info,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        resident=resident,
        nbytes=nbytes,
    )


def _find(config: Any) -> Source:
    """Returns the source that the configuration names, its splits and files checked."""
    memory_budget.parse(config.memory_budget)
    # A run of a version with TFDS as its only source has no `_target_`.
    source: Source = locate(config.get("_target_", "kerasdl.data.tfds"), "data")(config)
    source.check_files()
    if source.splits:
        _parts(source, config, seed=0)
    return source


def _parts(source: Source, config: Any, seed: int) -> list[_Part]:
    """Splits the source's splits into those of the run."""
    named = {"train": config.train_split}
    if isinstance(config.validation, str):
        named["validation"] = config.validation
    if config.test_split:
        named["test"] = config.test_split
    found = {name: tuple(segments(source, spec, _KEYS[name])) for name, spec in named.items()}
    _check_disjoint(named, found)
    indices = {name: np.arange(sum(map(len, parts))) for name, parts in found.items()}
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
                continue  # validation on the training examples themselves, to overfit on purpose
            for a in found[name]:
                for b in found[other]:
                    if a.split == b.split and max(a.start, b.start) < min(a.stop, b.stop):
                        raise ConfigError(
                            f"{_KEYS[name]} and {_KEYS[other]} must not share examples. Received: {named[name]!r} and "
                            f"{named[other]!r}. Slice them apart, for example {a.split}[:80%] and {a.split}[80%:]."
                        )


def _batch_size(config: Any, name: str) -> int:
    return config.batch_size if name == "train" else config.evaluation_batch_size


def _resident(
    source: Source, parts: list[_Part], columns: dict[str, dict[str, np.ndarray]], config: Any, seed: int
) -> dict[str, Split]:
    from kerasdl.data.order import WholeOrder
    from kerasdl.data.resident import Column, ResidentSplit

    features = source.info.features
    tensors = {
        spec: {name: Column.of(features.all[name], values) for name, values in found.items()}
        for spec, found in columns.items()
    }
    return {
        part.name: ResidentSplit(
            part.name,
            features,
            tensors[part.spec],
            WholeOrder(part.indices, seed, shuffle=config.shuffle and part.name == "train"),
            _batch_size(config, part.name),
        )
        for part in parts
    }


def _streamed(
    source: Source, parts: list[_Part], columns: dict[str, dict[str, np.ndarray]], config: Any, seed: int
) -> dict[str, Split]:
    from kerasdl.data.streamed import StreamedSplit

    return {
        part.name: StreamedSplit(
            part.name,
            source,
            part.segments,
            part.indices,
            columns[part.spec],
            seed=seed,
            shuffle=config.shuffle and part.name == "train",
            window=config.shuffle_window,
            batch_size=_batch_size(config, part.name),
        )
        for part in parts
    }
