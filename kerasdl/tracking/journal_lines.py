"""The format of the journal: a line for each entry, with a checksum that shows whether it is whole.

A line is the CRC-32 of what follows as eight hexadecimal digits, a space, and JSON with Python's NaN and Infinity. A
kill or a loss of power leaves at most a torn line at the end, which is cut; a damaged line costs that entry alone.
"""

import json
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from kerasdl.tracking.entries import Entry

_BLOCK = 2**16


def encode(entry: Entry) -> bytes:
    """Returns an entry as a line."""
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> Entry | None:
    """Returns the entry in a line; None if the line isn't whole or its checksum is wrong."""
    text = line[9:-1]
    if line[:9] != b"%08x " % zlib.crc32(text) or line[-1:] != b"\n":
        return None
    return json.loads(text)


def count(path: Path, offset: int) -> int:
    """Returns the number of lines from an offset, in bytes, to the end of the file."""
    with open(path, "rb") as file:
        file.seek(offset)
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))


def ends_at(path: Path, offset: int) -> bool:
    """Returns whether a line ends at an offset > 0, in bytes."""
    with open(path, "rb") as file:
        file.seek(offset - 1)
        return file.read(1) == b"\n"


def cut_torn_line(file: BinaryIO) -> int:
    """Cuts what follows the last line break; returns the length that remains, in bytes."""
    end = file.seek(0, os.SEEK_END)
    start = end
    while start > 0:
        start = max(start - _BLOCK, 0)
        file.seek(start)
        line_break = file.read(_BLOCK).rfind(b"\n")
        if line_break >= 0:
            start += line_break + 1
            break
    if start < end:
        file.truncate(start)
    return start
