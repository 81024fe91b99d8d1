"""Keeps passwords out of what is printed and stored: a user may type postgresql://user:password@host/runs."""

import re

_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")


def hide(text: str) -> str:
    """Returns `text` with the password of every address in it replaced by asterisks.

    Example:
        >>> hide("postgresql://anna:geheim@db/runs")
        'postgresql://anna:***@db/runs'
    """
    return _PASSWORD.sub(r"\1:***@", text)
