"""Identifies prepared data by the bytes of its files, so that data with changed contents counts as other data.

Names, lengths and sizes don't distinguish two versions of a set of small images. So each shard is hashed, once: the
hash is kept in the data's folder with the shard's size and modification time, and is computed again when either
changes. Hashing reads every byte, in parallel and at the speed of the disk. That takes about as long as one epoch of
streamed data, and no longer than the first reading of the labels: minutes for 100 GB on a local disk.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kerasdl.data.preparation import heartbeat
from kerasdl.data.source import DataInfo
from kerasdl.errors import DataError
from kerasdl.files import locked, written_whole

NAME = "kerasdl_content.json"
_PREFIX = "sha256-"  # of a fingerprint of contents
_DIGITS = 24  # MLflow keeps 36 characters of a digest
_MOST_THREADS = 8
_MIN_REPORTED_BYTES = 1_000_000_000  # less is hashed in about a second


@dataclass(frozen=True)
class _Hashed:
    """A file's SHA-256, and the size and modification time for which it is valid."""

    size: int
    mtime_ns: int
    sha256: str

    @property
    def state(self) -> tuple[int, int]:
        return self.size, self.mtime_ns


def identified(info: DataInfo, builder: Any, cache_dir: str | Path, report: Callable[[str], None]) -> DataInfo:
    """Returns `info` with the fingerprint of the data's contents, and the one that earlier versions recorded.

    Args:
        info: of the data set.
        builder: of the same, prepared.
        cache_dir: where the hashes are kept if the data's own directory can't be written.
        report: receives lines of progress.

    Raises:
        DataError: a file of the data can't be read.
    """
    splits = builder.info.splits
    shards = {name: [Path(path) for path in splits[name].filepaths] for name in sorted(splits)}
    directory = Path(builder.data_path)
    place = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    own = Path(cache_dir).expanduser().absolute() / "content" / f"{info.name.replace('/', '-')}-{place}.json"
    hashes = _hashes([path for paths in shards.values() for path in paths], (directory / NAME, own), info, report)
    contents = {
        name: [[int(length), hashes[path.name]] for length, path in zip(splits[name].shard_lengths, paths, strict=True)]
        for name, paths in shards.items()
    }
    names = [list(feature.names) for feature in info.features.targets.values()]
    text = json.dumps([builder.info.full_name, names[0] if names else [], contents])
    return info.identified(_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:_DIGITS], _former_fingerprint(builder))


def _former_fingerprint(builder: Any) -> str:
    """Returns the fingerprint that earlier versions computed, from names, lengths and sizes."""
    splits = {
        name: [list(map(int, split.shard_lengths)), int(split.num_bytes)] for name, split in builder.info.splits.items()
    }
    text = json.dumps([builder.info.full_name, splits], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hashes(
    paths: list[Path], records: tuple[Path, Path], info: DataInfo, report: Callable[[str], None]
) -> dict[str, str]:
    """Returns the SHA-256 of each file by its name: from one of the `records`, else computed and recorded."""
    try:
        states = {path: _state(path) for path in paths}
        known = _known(states, records, report)
        if len(known) < len(states):
            with _one_process_at_a_time(
                records[1], lambda: report(f"waiting for another process: hashing {info.name}")
            ):
                known = _known(states, records, report)
                missing = {path: state for path, state in states.items() if path.name not in known}
                try:
                    for path, hashed in _computed(missing, info, report):
                        known[path.name] = hashed
                finally:  # hashes computed before an interruption needn't be computed again
                    _keep(known, records, report)
    except OSError as error:
        raise DataError(
            f"{error.filename or info.name} can't be read ({error.strerror or error}). Make the files of {info.name} "
            "readable, or remove their directory to have them prepared again."
        ) from error
    return {name: hashed.sha256 for name, hashed in known.items()}


def _known(
    states: Mapping[Path, tuple[int, int]], records: Iterable[Path], report: Callable[[str], None]
) -> dict[str, _Hashed]:
    """Returns the recorded hashes, by file name, of those files that haven't changed since."""
    current = {path.name: state for path, state in states.items()}
    known: dict[str, _Hashed] = {}
    for record in records:
        try:
            rows = json.loads(record.read_text())
            found = {
                name: _Hashed(int(row["size"]), int(row["mtime_ns"]), str(row["sha256"])) for name, row in rows.items()
            }
        except (FileNotFoundError, PermissionError):
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            report(f"{record} can't be read ({error}); hashing the data again")
            continue
        known |= {name: hashed for name, hashed in found.items() if current.get(name) == hashed.state}
    return known


def _computed(
    states: Mapping[Path, tuple[int, int]], info: DataInfo, report: Callable[[str], None]
) -> Iterator[tuple[Path, _Hashed]]:
    """Yields each file with its hash, as they complete; the state is from before, so that a change is noticed."""
    total = sum(size for size, _ in states.values())
    what = f"hashing {total / 1e9:,.1f} GB of {info.name}"
    with contextlib.ExitStack() as stack:
        if total >= _MIN_REPORTED_BYTES:
            report(f"{what} (once)")
            stack.enter_context(heartbeat(what, report))
        pool = stack.enter_context(ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # Ctrl-C waits only for the files in progress
        futures = {pool.submit(_sha256, path): path for path in states}
        for future in as_completed(futures):
            path = futures[future]
            yield path, _Hashed(*states[path], future.result())


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(known: Mapping[str, _Hashed], records: Iterable[Path], report: Callable[[str], None]) -> None:
    """Writes the hashes into the first of the `records` that can be written."""
    text = json.dumps({name: asdict(known[name]) for name in sorted(known)}, indent=2)
    for record in records:
        try:
            with written_whole(record) as file:
                file.write(text.encode())
            return
        except OSError as error:
            complaint = f"{record} can't be written ({error.strerror or error})"
    report(f"{complaint}, so the data will be hashed again by the next run")


@contextlib.contextmanager
def _one_process_at_a_time(record: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Lets other processes wait instead of doing the same work, if the record's directory can be written."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # then each process computes its own hashes
            record.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(record.with_suffix(".lock"), waiting))
        yield
