"""Which entries of a journal the store refused while it took others: they wait apart, until somebody sends them again.

A folder that can't be written, a model that is too large for a proxy, a right that is missing: nothing of that may hold
up the metrics, and nothing of it may be lost.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from kerasdl.console import warn
from kerasdl.files import written_whole


class Aside:
    """The offsets, in bytes, at which such entries begin; kept in the file `aside`, which is written whole.

    Args:
        folder: the journal's.
    """

    def __init__(self, folder: Path):
        self._path = folder / "aside"
        self._begins = read(folder)

    def __len__(self) -> int:
        return len(self._begins)

    def __contains__(self, begin: int) -> bool:
        return begin in self._begins

    def begins(self) -> list[int]:
        """Returns the offsets, in the order of the journal."""
        return sorted(self._begins)

    def add(self, begins: Iterable[int]) -> None:
        """Lets entries wait apart.

        Raises:
            OSError: the disk is full, and nothing has changed.
        """
        self._write(self._begins | set(begins))

    def discard(self, begins: Iterable[int]) -> None:
        """Forgets entries that the store has by now, or that needn't be sent any more; raises as `add` does."""
        if self._begins & (gone := set(begins)):
            self._write(self._begins - gone)

    def _write(self, begins: set[int]) -> None:
        with written_whole(self._path) as file:
            file.write(json.dumps(sorted(begins)).encode())
        self._begins = begins


def read(folder: Path) -> set[int]:
    """Returns the offsets that the file in a journal's folder names; none if there is no such file yet."""
    path = folder / "aside"
    try:
        return {int(begin) for begin in json.loads(path.read_bytes())}
    except FileNotFoundError:
        return set()
    except (ValueError, TypeError) as error:
        warn(f"{path} is damaged ({error}); entries that it named are not sent again.")
        return set()
