"""Reads pictures in order, decoded ahead of their use by a few threads, up to a fixed number of pictures.

Pillow decodes without Python's global lock, so threads use all cores. In memory are the small decoded pictures that are
ahead and, for each thread, a large one: as much for a million pictures as for a hundred.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import numpy as np

from kerasdl.images.decoding import BrokenImage, pixels
from kerasdl.images.sources import Input, Source, sources

_MAX_WORKERS = 8

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, eq=False)
class Item:
    """A picture as the network takes it, or why it can't be used.

    Attributes:
        name: for people: a path, `digits.npy[12]`, `inputs[3]`, `-`.
        pixels: uint8 [height, width, channels]; None if there is an error.
        error: the reason, in a few words; None if there are pixels.
    """

    name: str
    pixels: np.ndarray | None = None
    error: str | None = None


def read(
    inputs: Input | Iterable[Input],
    image_shape: Sequence[int],
    *,
    invert: bool = False,
    background: str = "white",
    stdin: BinaryIO | None = None,
    note: Callable[[str], None] | None = None,
    workers: int | None = None,
    ahead: int = 64,
) -> Iterator[Item]:
    """Returns the pictures that `inputs` name, in order, as pixels of the network's shape.

    A picture that can't be read comes as an `Item` with an error, and the rest are read.

    Args:
        inputs: text as given to `input=` (`a.png,folder,'**/*.png',digits.npy,-`), a path, an array, a Pillow image; or
            an iterable of paths, patterns, arrays and images, which is read no further ahead than `ahead`. See
            `kerasdl.images.sources.sources`.
        image_shape: the network's (height, width, channels).
        invert: whether to return 255 - pixels, see `kerasdl.images.decoding.pixels`.
        background: of transparent pictures, "white" or "black".
        stdin: what `-` reads; the process's standard input by default.
        note: receives a line on files of a folder that are left out.
        workers: number of threads; by default one per core, at most 8.
        ahead: number of pictures that are decoded before they are asked for, >= 1.

    Raises:
        DataError: `inputs` is a text that names a file that doesn't exist, or a pattern that matches nothing; raised
            before anything is read.
    """
    found = sources(inputs, stdin, note)

    def decode(source: Source) -> Item:
        if source.content is None:
            return Item(source.name, error=source.error)
        try:
            return Item(source.name, pixels(source.content, image_shape, invert, background))
        except BrokenImage as error:
            return Item(source.name, error=str(error))

    return _in_order(decode, found, workers or min(os.cpu_count() or 1, _MAX_WORKERS), ahead)


def batched(items: Iterable[In], size: int) -> Iterator[list[In]]:
    """Returns `items` in lists of `size`; the last may be shorter."""
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _in_order(function: Callable[[In], Out], items: Iterable[In], workers: int, ahead: int) -> Iterator[Out]:
    """Yields `function` of each item, in order; at most `ahead` results are in progress or waiting."""
    waiting: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="kerasdl-images") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # the rest isn't needed after Ctrl-C or for a closed pipe
                future.cancel()
