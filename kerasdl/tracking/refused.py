"""Which entries of a journal the store refused while it took others: they are kept until they can be sent again.

A folder that can't be written, a model that is too large for a proxy, a right that is missing: none of these may hold
up the metrics, and none of the entries may be lost.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from kerasdl.console import warn
from kerasdl.files import written_whole


class RefusedEntries:
    """The offsets, in bytes, at which refused entries begin; kept in the file `aside`, which is always written whole.

    Args:
        folder: the journal's.
    """

    def __init__(self, folder: Path):
        self._path = folder / "aside"
        self._offsets = read_offsets(folder)

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, offset: int) -> bool:
        return offset in self._offsets

    def offsets(self) -> list[int]:
        """Returns the offsets, in the order of the journal."""
        return sorted(self._offsets)

    def add(self, offsets: Iterable[int]) -> None:
        """Adds entries.

        Raises:
            OSError: the disk is full, and nothing has changed.
        """
        self._write(self._offsets | set(offsets))

    def discard(self, offsets: Iterable[int]) -> None:
        """Forgets entries that the store has by now, or that needn't be sent any more; raises as `add` does."""
        if self._offsets & (gone := set(offsets)):
            self._write(self._offsets - gone)

    def _write(self, offsets: set[int]) -> None:
        with written_whole(self._path) as file:
            file.write(json.dumps(sorted(offsets)).encode())
        self._offsets = offsets


def read_offsets(folder: Path) -> set[int]:
    """Returns the offsets that the file in a journal's folder names; none if there is no such file yet."""
    path = folder / "aside"
    try:
        return {int(offset) for offset in json.loads(path.read_bytes())}
    except FileNotFoundError:
        return set()
    except (ValueError, TypeError) as error:
        warn(f"{path} is damaged ({error}); the entries that it named are not sent again.")
        return set()
