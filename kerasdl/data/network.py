"""Finds out within a few seconds, whatever the network does, whether a download is possible."""

import contextlib
import queue
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

_LIMIT = 3.0
_REFUSED_BY_A_PROXY = {403, 407, 502, 503, 504}


def reachable(urls: list[str], limit: float = _LIMIT) -> bool:
    """Returns whether one of `urls` answers, directly or through the proxy that the environment names.

    A DNS look-up can hang for minutes and can't be interrupted, so each attempt runs in a daemon thread that is
    abandoned after `limit` seconds.
    """
    one_a_host = {urllib.parse.urlsplit(url).netloc: url for url in urls}
    answers: queue.Queue[bool] = queue.Queue()
    for url in one_a_host.values():
        threading.Thread(target=lambda url=url: answers.put(_answers(url, limit)), daemon=True).start()
    end = time.monotonic() + limit
    for _ in one_a_host:
        with contextlib.suppress(queue.Empty):
            if answers.get(timeout=max(end - time.monotonic(), 0.001)):
                return True
    return False


def _answers(url: str, limit: float) -> bool:
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    proxied = parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)
    try:
        if proxied:  # The proxy always accepts a connection: only a request shows whether it lets this one through.
            opener = urllib.request.build_opener()  # urlopen's own would remember the proxy of its first use
            opener.open(urllib.request.Request(url, method="HEAD"), timeout=limit).close()
        else:
            port = parts.port or (80 if parts.scheme == "http" else 443)
            socket.create_connection((host, port), timeout=limit).close()
    except urllib.error.HTTPError as error:
        return error.code not in _REFUSED_BY_A_PROXY
    except (OSError, ValueError):
        return False
    return True
