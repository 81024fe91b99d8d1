"""`python -m kerasdl.demo run=...`: draw a digit in the browser, see the probabilities move and where they come from.

The page is `kerasdl.demo.page`; here it is served, on this machine only unless `host` says otherwise.
"""

import os
import socket
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from kerasdl import trained
from kerasdl.commands import RUN_KEYS, Key, Values, command, integer
from kerasdl.demo import page
from kerasdl.errors import UserError

if TYPE_CHECKING:
    import gradio

KEYS = (
    *(key for key in RUN_KEYS if key.name != "log"),  # drawings are not kept
    Key("host", "address to listen on", "127.0.0.1"),
    Key("port", "port to listen on; 0: a free one", 7860, integer(0, 65535)),
)


def run(values: Values) -> None:
    """Serves until Ctrl-C."""
    page.require_gradio()
    with (
        tempfile.TemporaryDirectory(prefix="kerasdl-") as folder,
        trained.opened({**values, "log": False}) as network,
    ):
        os.environ["GRADIO_TEMP_DIR"] = folder  # pictures on their way to the browser
        demo = page.build(network)
        port = values["port"] or _free_port(values["host"])
        if values["host"] not in ("127.0.0.1", "localhost", "::1"):
            print(f"Anyone who can reach {values['host']} can use this page.")
        try:
            _, address, _ = launch(demo, values["host"], port)
        except OSError as error:
            raise UserError(
                f"port: {port} on {values['host']} can't be listened on ({error}). Take another one, e.g. port=0."
            ) from error
        print(f"{address}  (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            demo.close(verbose=False)


def launch(demo: "gradio.Blocks", host: str, port: int) -> Any:
    """Starts to serve `demo`, in other threads; returns Gradio's (app, local address, None)."""
    return demo.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        footer_links=[],
        ssr_mode=False,
    )


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]


main = command(
    "demo",
    "Serves a page on which to draw a digit, or put a picture, and watch a trained network classify it.",
    "python -m kerasdl.demo run=last",
    KEYS,
    run,
    details="Needs pip install 'kerasdl[demo]'. Drawings are centred and scaled as in MNIST; networks of colour images "
    "take a picture instead.",
)

if __name__ == "__main__":
    main()
