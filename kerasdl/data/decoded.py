"""Decoded examples kept on disk between runs, so that the next run needs neither decoding nor tf.data.

One directory holds a prepared data set, identified by its contents, at one image size and from one version of the
decoder: for each split read, `<split>.images.npy` (uint8) and `<split>.labels.npy` (int64), and `manifest.json` with
their sizes and CRC-32 sums. Files are written as a whole under a lock and verified when they are read; images are
mapped into memory and not copied.
"""

import contextlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from kerasdl.data.source import Example, Segment
from kerasdl.errors import DataError
from kerasdl.files import locked, written_whole

if TYPE_CHECKING:
    from kerasdl.data.tfds import Tfds

_CHUNK = 1000


class Cache:
    """The decoded examples of one data set on disk.

    Args:
        source: the data set, prepared.
        cache_dir: the program's cache directory; `decoded/` is created in it.
        report: receives lines of progress.
    """

    def __init__(self, source: "Tfds", cache_dir: str | Path, report: Callable[[str], None]) -> None:
        from kerasdl.data import decoding  # imports TensorFlow

        info = source.info
        size = "x".join(map(str, info.features.inputs["image"].shape))
        folder = f"{_safe(info.name)}-{info.version}-{info.fingerprint}-{size}-decoder{decoding.VERSION}"
        self.directory = Path(cache_dir).expanduser().absolute() / "decoded" / folder
        self._source = source
        self._report = report

    def read(self, spec: str, segments: Sequence[Segment], names: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns features of a split's examples, from disk if they are there and intact, else decoded now.

        Args:
            spec: the split as the configuration names it.
            segments: what it reads.
            names: the features that are wanted.

        Returns:
            For each name an array (n, *shape).

        Raises:
            DataError: an example can't be read, a label is out of range, or the cache directory can't be written.
        """
        found, complaint = self._load(spec, names)
        return found if found is not None else self._build(spec, segments, names, complaint)

    def _build(
        self, spec: str, segments: Sequence[Segment], names: Sequence[str], complaint: str
    ) -> dict[str, np.ndarray]:
        from kerasdl.data import decoding  # imports TensorFlow

        info = self._source.info
        what = f"{spec} of {info.name} {info.version}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with locked(
                self.directory / ".lock", lambda: self._report(f"waiting for another process: decoding {what}")
            ):
                found, complaint = self._load(spec, names)
                if found is not None:
                    return found
                if complaint:
                    self._report(f"{complaint}; decoding {what} again")
                else:
                    self._report(f"{'decoding' if 'image' in names else 'reading the labels of'} {what} (once)")
                self._write(spec, segments, names)
                found, complaint = self._load(spec, names)
        except decoding.UNREADABLE as error:
            raise DataError(
                f"An example of {what} isn't an image of {info.features.inputs['image'].describe()} "
                f"({decoding.reason(error).rstrip('.')}). Repair or remove it, and prepare the data set again."
            ) from error
        except OSError as error:
            raise DataError(
                f"paths.cache_dir must be a writable directory, for decoded examples. Received: "
                f"{str(self.directory.parents[1])!r} ({error.strerror or error})."
            ) from error
        if found is None:
            raise DataError(f"{complaint}, although it has just been written. Check the disk of paths.cache_dir.")
        return found

    def _load(self, spec: str, names: Sequence[str]) -> tuple[dict[str, np.ndarray] | None, str]:
        """Returns the arrays, or None and what is wrong ("" if they don't exist yet)."""
        manifest = self._manifest()
        if any(_file(spec, name) not in manifest for name in names):
            return None, ""
        arrays = {}
        for name in names:
            path = self.directory / _file(spec, name)
            try:
                if path.stat().st_size != manifest[path.name]["bytes"]:
                    return None, f"{path} has the wrong size"
                # Mapped, not copied: images of several processes share the memory.
                array = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:
                return None, f"{path} can't be read ({error})"
            if zlib.crc32(array) != manifest[path.name]["crc32"]:
                return None, f"{path} is corrupted (its checksum differs)"
            arrays[name] = np.asarray(array) if self._source.info.features.all[name].is_scalar else array
        return arrays, ""

    def _manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads((self.directory / "manifest.json").read_text())
            return {name: {"bytes": int(row["bytes"]), "crc32": int(row["crc32"])} for name, row in manifest.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._report(f"{self.directory / 'manifest.json'} can't be read ({error}); decoding again")
            return {}

    def _write(self, spec: str, segments: Sequence[Segment], names: Sequence[str]) -> None:
        size, features = sum(map(len, segments)), self._source.info.features.all
        files: dict[str, BinaryIO] = {}
        sums = dict.fromkeys(names, 0)
        rows: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            for name in names:
                files[name] = stack.enter_context(written_whole(self.directory / _file(spec, name)))
                _write_header(files[name], (size, *features[name].shape), features[name].dtype)
            for chunk in self._chunks(segments, names):
                for name in names:
                    if features[name].kind == "label":
                        _check_labels(chunk[name], spec, self._source)
                    values: Any = np.ascontiguousarray(chunk[name])
                    sums[name] = zlib.crc32(values, sums[name])
                    files[name].write(values)
            for name in names:
                rows[_file(spec, name)] = {"bytes": files[name].tell(), "crc32": sums[name]}
        with written_whole(self.directory / "manifest.json") as file:
            file.write(json.dumps(self._manifest() | rows, indent=2).encode())

    def _chunks(self, segments: Sequence[Segment], names: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        import tensorflow as tf

        examples = self._source.stream(segments)

        @tf.autograph.experimental.do_not_convert
        def chosen(stored: Example) -> Example:
            decoded = self._source.decode(stored) if "image" in names else stored
            return {name: decoded[name] for name in names}

        chosen_examples = examples.map(chosen, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        yield from chosen_examples.batch(_CHUNK).prefetch(2).as_numpy_iterator()


def _file(spec: str, name: str) -> str:
    """Returns the name of a feature's file: `train.images.npy`, as earlier versions called it."""
    return f"{_safe(spec)}.{name}s.npy"


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: str) -> None:
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


def _check_labels(labels: np.ndarray, spec: str, source: "Tfds") -> None:
    info, classes = source.info, len(source.info.features.targets["label"].names)
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise DataError(
            f"The labels of split {spec!r} of {info.name} {info.version} must be in 0..{classes - 1}. Received: "
            f"{labels.min()}..{labels.max()} in {source.label_key!r} (TFDS marks a hidden label with -1). Choose "
            "another split with data.train_split, data.validation or data.test_split."
        )


def _safe(name: str) -> str:
    """Returns `name` as a part of a file name; 'train[80%:]' and 'train[80:]' stay distinct."""
    return re.sub(r"[^A-Za-z0-9_.+-]", lambda match: "-" if match[0] == "/" else f"={ord(match[0]):x}=", name)
