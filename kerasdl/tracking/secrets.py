"""Keeps passwords out of what is printed and stored: a user may type postgresql://user:password@host/runs.

Addresses are found in any text: messages, command lines, configurations, diffs. Where a password ends can be ambiguous,
because people don't always write `%40` for an `@` in it; then too much is hidden rather than too little.
"""

import re

_SECRETS = (
    # In `scheme://user:password@host` the password ends at the last @ before a blank, before a character that no
    # address has, or before the next address. If there is no @ before it, the password has such a character, unless it
    # is only a port.
    re.compile(r"""://[^\s/:@?#"'<>]*:(?P<secret>(?:(?!://)[^\s"<>`])*(?=@)|(?!\d+(?:[^\w@]|$))\S{0,200}?(?=@))"""),
    # A user name as long as this is a token: https://ghp_...@github.com.
    re.compile(r"""://(?P<secret>[^\s/:@?#"'<>]{20,})@"""),
    re.compile(
        r"[?&;][\w.-]*(?:password|passwd|pwd|passphrase|token|secret|credentials?|signature|api_?-?key|access_?-?key)="
        r"(?P<secret>[^\s&;#\"'<>`]+)",
        re.IGNORECASE,
    ),
)


def hide(text: str) -> str:
    """Returns `text` with the password of every address in it replaced by asterisks, wherever the address has it.

    Example:
        >>> hide("postgresql://anna:geheim@db/runs?sslmode=require&token=f00")
        'postgresql://anna:***@db/runs?sslmode=require&token=***'
    """
    shown, done = "", 0
    for start, end in sorted(match.span("secret") for pattern in _SECRETS for match in pattern.finditer(text)):
        if start > done or not shown:
            shown += f"{text[done:start]}***"
        done = max(done, end)  # where two overlap, nothing of either is shown
    return shown + text[done:]
