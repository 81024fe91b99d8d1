"""Decoded examples kept on disk between runs, so that a run neither decodes nor starts tf.data again.

One directory holds a prepared data set, known by its contents, at one image size and as one version of the decoder
reads it: for each split read, `<split>.images.npy` (uint8) and `<split>.labels.npy` (int64), and `manifest.json` with
their sizes and CRC-32 sums. Files are written whole under a lock and verified when they are read; images are mapped
into memory and not copied.
"""

import contextlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kerasdl.data.catalog import Entry, Segment
from kerasdl.errors import DataError
from kerasdl.files import locked, written_whole

_CHUNK = 1000


@dataclass(frozen=True)
class Decoded:
    """The examples of one TFDS split: labels int64 [n], and images uint8 [n, height, width, channels] if asked for."""

    labels: np.ndarray
    images: np.ndarray | None


class Cache:
    """The decoded examples of one data set on disk.

    Args:
        entry: the data set, prepared.
        cache_dir: the program's cache directory; `decoded/` is made in it.
        report: takes one line of progress.
    """

    def __init__(self, entry: Entry, cache_dir: str | Path, report: Callable[[str], None]) -> None:
        from kerasdl.data import decoding  # imports TensorFlow

        info = entry.info
        size = "x".join(map(str, info.image_shape))
        folder = f"{_safe(info.name)}-{info.version}-{info.fingerprint}-{size}-decoder{decoding.VERSION}"
        self.directory = Path(cache_dir).expanduser().absolute() / "decoded" / folder
        self._entry = entry
        self._report = report

    def read(self, spec: str, segments: list[Segment], images: bool) -> Decoded:
        """Returns a split's examples, from disk if they are there and intact, else decoded now.

        Args:
            spec: the split as the configuration names it.
            segments: what it reads.
            images: whether to give images too; without them only labels are read and kept.

        Raises:
            DataError: a label outside the classes, or a cache directory that can't be written.
        """
        names = [f"{_safe(spec)}.labels.npy"] + ([f"{_safe(spec)}.images.npy"] if images else [])
        found, complaint = self._load(names)
        if found is None:
            found = self._build(spec, segments, names, complaint)
        return Decoded(labels=np.asarray(found[0]), images=found[1] if images else None)

    def _build(self, spec: str, segments: list[Segment], names: list[str], complaint: str) -> list[np.ndarray]:
        from kerasdl.data import decoding  # imports TensorFlow

        info = self._entry.info
        what = f"{spec} of {info.name} {info.version}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with locked(
                self.directory / ".lock", lambda: self._report(f"waiting for another process: decoding {what}")
            ):
                found, complaint = self._load(names)
                if found is not None:
                    return found
                if complaint:
                    self._report(f"{complaint}; decoding {what} again")
                else:
                    self._report(f"{'decoding' if len(names) == 2 else 'reading the labels of'} {what} (once)")
                self._write(spec, segments, names)
                found, complaint = self._load(names)
        except decoding.UNREADABLE as error:
            raise DataError(
                f"An example of {what} isn't a label and an image of {'x'.join(map(str, info.image_shape))} "
                f"({decoding.reason(error).rstrip('.')}). Mend it or leave it out, and prepare the data set again."
            ) from error
        except OSError as error:
            raise DataError(
                f"paths.cache_dir must be a directory that can be written, to keep decoded examples in. Received: "
                f"{str(self.directory.parents[1])!r} ({error.strerror or error})."
            ) from error
        if found is None:
            raise DataError(f"{complaint}, although it was written just now: check the disk of paths.cache_dir.")
        return found

    def _load(self, names: list[str]) -> tuple[list[np.ndarray] | None, str]:
        """Returns the arrays, or None and what is wrong ("" if they simply aren't there yet)."""
        manifest = self._manifest()
        if any(name not in manifest for name in names):
            return None, ""
        arrays = []
        for name in names:
            path = self.directory / name
            try:
                if path.stat().st_size != manifest[name]["bytes"]:
                    return None, f"{path} has the wrong size"
                array = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:
                return None, f"{path} can't be read ({error})"
            if zlib.crc32(array) != manifest[name]["crc32"]:
                return None, f"{path} is corrupted (its checksum differs)"
            arrays.append(array)
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

    def _write(self, spec: str, segments: list[Segment], names: list[str]) -> None:
        with_images = len(names) == 2
        labels: list[np.ndarray] = []
        rows: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            if with_images:
                size = sum(segment.stop - segment.start for segment in segments)
                file = stack.enter_context(written_whole(self.directory / names[1]))
                _write_header(file, (size, *self._entry.info.image_shape), np.uint8)
                crc = 0
            for chunk_images, chunk_labels in self._chunks(segments, with_images):
                labels.append(chunk_labels)
                if with_images:
                    pixels: Any = np.ascontiguousarray(chunk_images)
                    crc = zlib.crc32(pixels, crc)
                    file.write(pixels)
            all_labels: Any = np.concatenate(labels).astype(np.int64)
            _check_labels(all_labels, spec, self._entry)
            if with_images:
                rows[names[1]] = {"bytes": file.tell(), "crc32": crc}
        with written_whole(self.directory / names[0]) as file:
            np.save(file, all_labels)
            rows[names[0]] = {"bytes": file.tell(), "crc32": zlib.crc32(all_labels)}
        with written_whole(self.directory / "manifest.json") as file:
            file.write(json.dumps(self._manifest() | rows, indent=2).encode())

    def _chunks(self, segments: list[Segment], images: bool) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
        import tensorflow as tf

        from kerasdl.data.decoding import decoder, encoded

        examples = encoded(self._entry, segments)
        if not images:
            for chunk in examples.map(lambda _, label: label).batch(_CHUNK).prefetch(2).as_numpy_iterator():
                yield None, chunk
            return
        decode = decoder(self._entry)
        decoded = examples.map(
            lambda data, label: (decode(data), label), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        yield from decoded.batch(_CHUNK).prefetch(2).as_numpy_iterator()


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: type) -> None:
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


def _check_labels(labels: np.ndarray, spec: str, entry: Entry) -> None:
    info = entry.info
    if len(labels) and not (labels.min() >= 0 and labels.max() < info.classes):
        raise DataError(
            f"The labels of split {spec!r} of {info.name} {info.version} must be in 0..{info.classes - 1}. Received: "
            f"{labels.min()}..{labels.max()} in {entry.label_key!r} (-1 is TFDS's mark of a hidden label). Choose "
            "another split with data.train_split, data.validation or data.test_split."
        )


def _safe(name: str) -> str:
    """Returns `name` as a part of a file name: 'train[80%:]' and 'train[80:]' stay apart."""
    return re.sub(r"[^A-Za-z0-9_.+-]", lambda match: "-" if match[0] == "/" else f"={ord(match[0]):x}=", name)
