"""One format made: written, loaded again, compared; kept if it is the same network, else removed."""

import errno
import shutil
import traceback
from dataclasses import dataclass
from pathlib import Path

from kerasdl.errors import UserError
from kerasdl.export.formats import Format
from kerasdl.export.source import Source
from kerasdl.export.tolerance import TOLERANCES, Tolerance
from kerasdl.export.verification import Check, Measured, complaint, measure
from kerasdl.quiet import quiet


@dataclass(frozen=True)
class Outcome:
    """What came of a format.

    Attributes:
        format: which.
        tolerance: what was tolerated.
        measured: what the file did; None if it couldn't be written or loaded.
        problem: why the file isn't kept; "" if there is nothing wrong.
        skipped: why none was made, as the format isn't for such models; "" if one was.
    """

    format: Format
    tolerance: Tolerance
    measured: Measured | None
    problem: str
    skipped: str = ""

    @property
    def is_kept(self) -> bool:
        return not self.problem and not self.skipped


def make(format: Format, source: Source, folder: Path, check: Check) -> Outcome:
    """Writes a file of `format` into `folder` and compares it with Keras; a file that fails is removed.

    A failure of a converter or a runtime becomes this format's `problem`, with its traceback on standard error: the
    other formats don't depend on it.
    """
    path, tolerance = folder / format.path, TOLERANCES[format.name]
    measured = None
    if skipped := format.unsuited(source):
        return Outcome(format, tolerance, None, "", skipped)
    try:
        with quiet():
            format.write(source, path)
            measured = measure(format.load(path, source.names), path, check)
        problem = complaint(measured, check, tolerance)
    except UserError as error:
        problem = str(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        traceback.print_exc()
        problem = f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"
    if problem:
        _remove(path)
    return Outcome(format, tolerance, measured, problem)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
