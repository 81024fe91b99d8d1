import http.server
import socket
import threading
import time

import pytest

from kerasdl.data import network


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    """Returns the function that starts a web server that answers every request with a status, and gives its URL."""
    servers = []

    def start(status: int) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(status)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for one in servers:
        one.shutdown()
        one.server_close()


def test_a_host_that_listens_is_reachable(server):
    assert network.reachable([f"{server(200)}/file.gz"])


def test_a_host_that_refuses_is_not(server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file.gz"
        assert not network.reachable([url])
        assert network.reachable([url, f"{server(200)}/file.gz"])


def test_a_look_up_that_hangs_is_given_up(monkeypatch):
    given_up = threading.Event()

    def hang(address, timeout):
        given_up.wait()
        raise OSError

    monkeypatch.setattr(network.socket, "create_connection", hang)
    start = time.monotonic()
    assert not network.reachable(["https://one.invalid/a", "https://two.invalid/b"], limit=0.2)
    assert time.monotonic() - start < 2
    given_up.set()


@pytest.mark.parametrize(("status", "expected"), [(200, True), (404, True), (403, False), (502, False)])
def test_a_proxy_is_asked_whether_it_lets_through(server, monkeypatch, status, expected):
    monkeypatch.setenv("http_proxy", server(status))
    assert network.reachable(["http://upstream.invalid/file.gz"]) is expected
