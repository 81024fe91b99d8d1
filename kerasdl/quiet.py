"""Keeps messages of native code off the user's terminal, and shows them if something fails.

TensorFlow writes some of its start-up messages before it reads its log level, and its converters, MLIR's and LiteRT's,
write whatever the level is: all straight to file descriptor 2.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back what is written to standard error in the block, unless TF_CPP_MIN_LOG_LEVEL=0.

    If the block fails, it is written after all. An interrupt doesn't count as a failure.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except Exception:
            sys.stderr.flush()
            aside.seek(0)
            with suppress(OSError):  # a terminal that is gone must not hide what failed
                os.write(terminal, aside.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
