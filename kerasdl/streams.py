"""Standard output and standard error that never fail: a failure to print must not lose a command's results.

A stream may lack a character (Latin-1, ASCII), be full (`> /dev/full`), or be closed (`| head`, `>&-`, a terminal that
is gone). Code within `entry_point` or `lasting` can ignore that: a missing character is replaced, a failed write is
remembered, and the command's exit code reports it at the end. Data on standard output is different: it must arrive
unchanged or fail, so it goes through `send`.
"""

import codecs
import contextlib
import errno
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

_READABLE = "kerasdl.readable"
_PLAIN = {"…": "...", "★": "*", "±": "+/-", "·": "-", "–": "-", "×": "x", "│": "|", "┃": "|"}


class OutputLost(Exception):
    """Data can no longer be written to standard output; `entry_point` reports why.

    Attributes:
        reader_left: whether the process that reads it has ended (`| head`).
    """

    def __init__(self, error: OSError | None):
        super().__init__(str(error))
        self.reader_left = error is not None and error.errno == errno.EPIPE


def readable(text: str, encoding: str) -> bytes:
    """Returns `text` in an encoding; characters that the encoding lacks are replaced by others.

    Rules and bars become hyphens, other symbols their plain counterparts, and everything else is escaped as in Python:
    `\\u4e2d` for a letter, `\\udcff` for a byte of a file name that isn't text.

    Example:
        >>> readable("── ±0.1 … 中", "ascii")
        b'-- +/-0.1 ... \\\\u4e2d'
    """
    return text.encode(encoding, _READABLE)


def _replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if unicodedata.name(character, "").startswith(("BOX DRAWINGS", "BRAILLE")):
        return "-"
    return character.encode("ascii", "backslashreplace").decode()


codecs.register_error(_READABLE, _replacement)


class Lasting:
    """A text stream to which writing never fails.

    Args:
        stream: receives the text; None if the process was started without such a stream.

    Attributes:
        error: why something could not be written, or None.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = open(os.devnull, encoding="utf-8") if stream is None else stream  # noqa: SIM115  # not writable
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._remembering():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(readable(text, self._stream.encoding).decode(self._stream.encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._remembering():
            self._stream.flush()

    def send(self, data: bytes) -> None:
        """Writes data at once, after all text so far.

        Raises:
            OutputLost: it can't be written, or an earlier write failed: the output has no gaps.
        """
        if self.error:
            raise OutputLost(self.error)
        with self._remembering():
            self._stream.flush()
            self._stream.buffer.write(data)
            self._stream.buffer.flush()
            return
        raise OutputLost(self.error)

    def finish(self) -> OSError | None:
        """Writes what is buffered; returns the first error of any write, or None."""
        self.flush()
        if self.error:
            self._discard()
        return self.error

    @contextlib.contextmanager
    def _remembering(self) -> Iterator[None]:
        """Remembers the error of a write in the block."""
        try:
            yield
        except OSError as error:
            self.error = self.error or error
        except ValueError as error:  # Python's error for a stream that the program itself has closed
            if not self._stream.closed:
                raise
            self.error = self.error or OSError(errno.EBADF, str(error))

    def _discard(self) -> None:
        """Discards what is still in Python's buffer: else Python would report an error when the process ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def lasting() -> Iterator[tuple[Lasting, Lasting]]:
    """Replaces `sys.stdout` and `sys.stderr` in the block by streams to which writing never fails, and gives these."""
    before = sys.stdout, sys.stderr
    output, error = (stream if isinstance(stream, Lasting) else Lasting(stream) for stream in before)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, error)
    try:
        yield output, error
    finally:
        # Streams that other code (a test, a notebook) has set meanwhile stay.
        sys.stdout = before[0] if sys.stdout is output else sys.stdout
        sys.stderr = before[1] if sys.stderr is error else sys.stderr


def send(data: bytes) -> None:
    """Writes data to standard output, unchanged and at once; raises OutputLost as `Lasting.send` does."""
    with lasting() as (output, _):
        output.send(data)


@contextlib.contextmanager
def entry_point() -> Iterator[None]:
    """Runs a command within `lasting`; if only printing failed, the exit code is 1."""
    _open_missing_descriptors()
    with lasting() as streams:
        ended: SystemExit | None = None
        try:
            yield
        except SystemExit as exit:
            ended = exit
        output, error = (stream.finish() for stream in streams)
        if output and output.errno != errno.EPIPE:  # the reader of a pipe (`| head`) has stopped on purpose
            why = output.strerror or output
            print(f"Error: standard output can't be written ({why}); nothing else is lost.", file=sys.stderr)
        if (output or error) and not (ended and ended.code):
            sys.exit(1)
        if ended:
            raise ended


def _open_missing_descriptors() -> None:
    """Opens those of the descriptors 0 to 2 that the process was started without (`>&-`).

    Otherwise a database might get one of these descriptors, and TensorFlow's messages would be written into it.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        os.set_inheritable(descriptor, True)
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
