"""Files on their way to MLflow, kept next to the journal until they have been sent.

Each has a folder of its own, `spool/<unique>/`. Its name identifies the file for good, so that MLflow has a model once
even if it was sent twice. A file is on the disk itself before the journal names it: one that is missing has been sent.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from kerasdl.files import sync
from kerasdl.tracking.entries import Entry


class Spool:
    """The files of one run.

    Args:
        folder: the folder of the run's journal; it exists.
    """

    def __init__(self, folder: Path):
        self._path = folder.absolute() / "spool"

    def add(self, name: str, write: Callable[[Path], object]) -> Path:
        """Keeps the file or folder that `write` makes at the path it is given, and returns that path.

        Raises:
            OSError: the disk is full or can't be written; nothing is left of the file then.
        """
        folder = self._path / uuid.uuid4().hex
        path = folder / name
        try:
            folder.mkdir(parents=True)
            write(path)
            _sync_all(folder)
            sync(self._path)
            sync(self._path.parent)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return path

    def locate(self, entry: Entry) -> Path:
        """Returns where the spooled file of an entry is, even if the run's folder has been moved."""
        folder, name = Path(entry["path"]).parts[-2:]
        return self._path / folder / name

    def remove(self, entry: Entry) -> None:
        """Deletes the file of an entry that has been sent."""
        # What can't be deleted now is deleted when the journal is opened next (`remove_all_but`).
        shutil.rmtree(self.locate(entry).parent, ignore_errors=True)

    def remove_all_but(self, waiting: Iterable[Entry]) -> None:
        """Deletes the files that no entry in `waiting` names: they were sent, or a kill came before their entry."""
        if not self._path.is_dir():
            return
        named = {self.locate(entry).parent for entry in waiting if entry.get("spooled")}
        for folder in self._path.iterdir():
            if folder not in named:
                shutil.rmtree(folder, ignore_errors=True)


def _sync_all(folder: Path) -> None:
    """Brings a folder and everything in it to the disk itself."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync(Path(parent, name))
        sync(Path(parent))
