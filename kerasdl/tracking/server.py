"""The MLflow UI on a local store, served by the present process.

`mlflow ui` starts a tree of processes (workers, a job runner) that an interrupt has to reach one by one. A single
process is enough for one person, starts in half the time, holds its port from the start and leaves no orphan.
"""

import contextlib
import errno
import os
import socket
import warnings

from kerasdl.errors import ConfigError, TrackingError
from kerasdl.tracking.failures import one_line
from kerasdl.tracking.store import Store, import_mlflow, require


def serve(store: Store, host: str, port: int) -> None:
    """Serves the UI on http://`host`:`port`, prints that address when it answers, and returns after Ctrl-C or SIGTERM.

    Args:
        store: a database that exists; of a server, only the address is printed, because it has its own UI.
        host: the address to listen on; "127.0.0.1" for this machine alone.
        port: 0 takes a free one.

    Raises:
        TrackingError: there is no usable store.
        ConfigError: host and port can't be listened on.
    """
    require(store)
    if store.is_server:
        print(f"The tracking server has its own UI: {store.address}")
        return
    listener = _listen(host, port)
    with listener:
        app = _application(store)
        _run(app, listener)


def _listen(host: str, port: int) -> socket.socket:
    """Returns a socket bound to host and port, so that no other program takes them while MLflow is imported."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"host must be an address of this machine ({error.strerror}). Received: '{host}'.") from error
    try:
        # Without it, the port of a UI that has just ended couldn't be used for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # With the option above, two sockets may be bound to one port as long as neither listens.
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} on {host} is in use. Take another one, e.g. --port {port + 1}.") from error
        raise ConfigError(f"host and port must be free to listen on ({error.strerror}): '{host}', {port}.") from error
    return listener


def _application(store: Store):
    """Returns MLflow's web application on `store`."""
    import_mlflow()
    # MLflow's jobs evaluate language models; their runner would be another process.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    from mlflow import server
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import initialize_backend_stores

    artifacts = store.artifact_location or ""
    os.environ |= {
        server.BACKEND_STORE_URI_ENV_VAR: store.uri,
        server.REGISTRY_STORE_URI_ENV_VAR: store.uri,
        server.ARTIFACT_ROOT_ENV_VAR: artifacts,
    }
    try:
        with store.lock():
            store.prepare()
            initialize_backend_stores(store.uri, store.uri, artifacts)
    except MlflowException as error:
        raise TrackingError(
            f"{store.key} must be a store that this MLflow can open ({one_line(error)}). Received: '{store.address}'. "
            "Name another one."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations in MLflow's own dependencies don't concern a user
        from mlflow.server.fastapi_app import app

    return app


def _run(app, listener: socket.socket) -> None:
    import uvicorn

    host, port = listener.getsockname()[:2]

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets)
            print(f"MLflow UI: http://{f'[{host}]' if ':' in host else host}:{port}  (Ctrl-C ends it)", flush=True)

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    # After an interrupt, uvicorn shuts down in order and raises the signal again; this is how a server ends.
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listener])
