"""`python -m kerasdl.demo run=...`: draw a digit in the browser, see the probabilities move and where they come from.

For networks of grey images a canvas, for those of colour images a place to put a picture. The page is Gradio's; it is
served on this machine only, and loads nothing from elsewhere.
"""

import os
import socket
import tempfile
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerasdl import trained
from kerasdl.commands import RUN_KEYS, Key, Values, command, integer
from kerasdl.errors import ConfigError, UserError

if TYPE_CHECKING:
    import gradio
    import numpy as np

KEYS = (
    *(key for key in RUN_KEYS if key.name != "log"),  # what is drawn is nobody's business
    Key("host", "address to listen on", "127.0.0.1"),
    Key("port", "port to listen on; 0: a free one", 7860, integer(0, 65535)),
)
_SIDE = 280  # pixels of canvas and pictures
# The canvas would otherwise ask to choose a tool first.
_TAKE_THE_BRUSH = """() => {
  const take = () => {
    const brush = document.querySelector("#drawing button[title=Brush]");
    if (brush) { brush.click(); watcher.disconnect(); }
  };
  const watcher = new MutationObserver(take);
  watcher.observe(document.body, {childList: true, subtree: true});
  take();
}"""


def run(values: Values) -> None:
    """Serves until Ctrl-C."""
    _require_gradio()
    with (
        tempfile.TemporaryDirectory(prefix="kerasdl-") as folder,
        trained.opened({**values, "log": False}) as network,
    ):
        os.environ["GRADIO_TEMP_DIR"] = folder  # pictures on their way to the browser
        demo = page(network)
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


def page(network: trained.Trained) -> "gradio.Blocks":
    """Returns the page for a network: what to draw on, what the network sees, and what it makes of it."""
    _require_gradio()
    import gradio

    from kerasdl.channels import MODES

    look = _looking(network)
    is_drawn = network.image_shape[-1] == 1
    with gradio.Blocks(title=f"kerasdl: {network.name}", analytics_enabled=False) as demo:
        gradio.Markdown(f"## {network.name}\n{_facts(network)}")
        with gradio.Row():
            source: gradio.components.Component
            if is_drawn:
                source = gradio.Sketchpad(
                    label="draw here",
                    type="pil",
                    image_mode="RGBA",
                    canvas_size=(_SIDE, _SIDE),
                    brush=gradio.Brush(default_size=_SIDE // 14, colors=["#000000"], color_mode="fixed"),
                    layers=False,
                    sources=[],
                    transforms=[],
                    elem_id="drawing",
                )
            else:
                mode: Any = MODES[network.image_shape[-1]]
                source = gradio.Image(label="a picture", type="pil", image_mode=mode, elem_id="drawing")
            probabilities = gradio.Label(
                label="probabilities", num_top_classes=min(10, len(network.class_names)), elem_id="probabilities"
            )
            with gradio.Column():
                seen, heat = (
                    gradio.Image(label=label, height=_SIDE, elem_id=name, interactive=False, buttons=[])
                    for label, name in (("what the network sees", "seen"), ("what speaks for the first", "heat"))
                )
        source.change(
            look,
            source,
            [probabilities, seen, heat],
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
        if is_drawn:
            demo.load(None, js=_TAKE_THE_BRUSH)
    return demo


def _looking(network: trained.Trained) -> Callable[[Any], tuple[Any, Any, Any]]:
    """Returns the function from what is drawn to probabilities, what the network sees, and the heat map on it."""
    import numpy as np

    from kerasdl.images.decoding import pixels
    from kerasdl.images.drawing import centred

    attribute = _attribution(network)
    network(np.zeros((1, *network.image_shape), np.uint8))  # compiled before somebody waits for it

    def look(drawn: Any) -> tuple[Any, Any, Any]:
        picture = drawn["composite"] if isinstance(drawn, dict) else drawn
        if picture is None:
            return {}, None, None
        is_drawn = isinstance(drawn, dict)
        image = (centred if is_drawn else pixels)(picture, network.image_shape)
        if is_drawn and not image.any():
            return {}, None, None
        probabilities = network(image[None])[0]
        named = {name: float(share) for name, share in zip(network.class_names, probabilities, strict=True)}
        return named, _enlarged(image), _drawn_over(image, attribute(image, int(probabilities.argmax())))

    return look


def _attribution(network: trained.Trained) -> "Callable[[np.ndarray, int], np.ndarray]":
    """Returns Grad-CAM for one image, or saliency for a network without feature maps; each float32 (h, w) >= 0."""
    import numpy as np

    from kerasdl.attribution import find_layers, gradcam, saliency

    layer = find_layers(network.model).gradcam
    attribute = gradcam(network.on_pixels([layer])) if layer else saliency(network.on_pixels())
    return lambda image, label: attribute(image[None].astype(np.float32), np.array([label]))[0]


def _drawn_over(image: "np.ndarray", heat: "np.ndarray") -> "np.ndarray":
    """Returns a heat map drawn on its image, uint8 (side, side, 4)."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from kerasdl.analysis.overlays import Heat, show_heat
    from kerasdl.analysis.panels import canvas, panel

    figure = canvas(_SIDE, _SIDE)
    show_heat(panel(figure, 0, 0, _SIDE, _SIDE), image, Heat("", heat, signed=False))
    drawing = FigureCanvasAgg(figure)
    drawing.draw()
    return np.asarray(drawing.buffer_rgba())


def _enlarged(image: "np.ndarray") -> "np.ndarray":
    """Returns the image, uint8 (h, w, 3), with each pixel as a square, so that a browser doesn't blur it."""
    from kerasdl.channels import opaque

    times = max(1, _SIDE // image.shape[0])
    return opaque(image).repeat(times, axis=0).repeat(times, axis=1)


def _facts(network: trained.Trained) -> str:
    accuracy = network.metrics.get("test_accuracy")
    tested = f", test accuracy {100 * accuracy:.2f} %" if accuracy is not None else ""
    return f"run {network.id}, {network.tags.get('kerasdl.data', '')}{tested}"


def _require_gradio() -> None:
    # Its news, its telemetry and its fonts come from elsewhere.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"the demo needs Gradio ({error}). Install it: pip install 'kerasdl[demo]'") from error


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]


main = command(
    "demo",
    "Serves a page on which to draw or place an image and see what a trained network makes of it.",
    "python -m kerasdl.demo run=last",
    KEYS,
    run,
)

if __name__ == "__main__":
    main()
