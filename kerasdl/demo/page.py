"""The page of the demo: a canvas or a place for a picture, the class probabilities, and where they come from.

Networks of grey images get a canvas, those of colour images a place to put a picture. The page is Gradio's; it loads
nothing from elsewhere. Serving it is left to `kerasdl.demo`.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerasdl import trained
from kerasdl.errors import ConfigError

if TYPE_CHECKING:
    import gradio
    import numpy as np

_SIDE = 280  # pixels of canvas and pictures
_COLUMN = _SIDE  # pixels; a page with room for less than two has one column
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


def build(network: trained.Trained) -> "gradio.Blocks":
    """Returns the page for a network: a place to draw, the network's input, its answer, and what that rests on."""
    require_gradio()
    import gradio

    from kerasdl.channels import MODES

    respond = _responder(network)
    height, width, channels = network.image_shape
    is_drawn = channels == 1
    with gradio.Blocks(title=f"kerasdl: {network.name}", analytics_enabled=False) as demo:
        gradio.Markdown(f"## {network.name}\n{_facts(network)}")
        with gradio.Row():
            source: gradio.components.Component
            with gradio.Column(min_width=_COLUMN):
                if is_drawn:
                    source = gradio.Sketchpad(
                        label="Draw here",
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
                    mode: Any = MODES[channels]
                    source = gradio.Image(label="A picture", type="pil", image_mode=mode, elem_id="drawing")
            with gradio.Column(min_width=_COLUMN):
                classes = min(10, len(network.class_names))
                probabilities = gradio.Label(
                    label="Most likely classes", num_top_classes=classes, elem_id="probabilities"
                )
        with gradio.Row():
            with gradio.Column(min_width=_COLUMN):
                gradio.Markdown(f"**What the network sees**, {width} x {height} pixels")
                seen = _picture("what the network sees", "seen")
            with gradio.Column(min_width=_COLUMN):
                gradio.Markdown("**Evidence for this class**")
                heat = _picture("evidence for the most likely class", "heat")
                note = gradio.Markdown(elem_id="note")
        source.change(
            respond,
            source,
            [probabilities, seen, heat, note],
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
        if is_drawn:
            demo.load(None, js=_TAKE_THE_BRUSH)
    return demo


def _picture(label: str, name: str) -> "gradio.Image":
    import gradio

    # A label of Gradio's own would cover the picture's upper left corner.
    return gradio.Image(label=label, show_label=False, height=_SIDE, elem_id=name, interactive=False, buttons=[])


def _responder(network: trained.Trained) -> Callable[[Any], tuple[Any, Any, Any, str]]:
    """Returns the function from a drawing or picture to probabilities, network input, heat map and its caption."""
    import numpy as np

    from kerasdl.demo.drawing import centred
    from kerasdl.images.decoding import pixels

    method, attribute = _attribution(network)
    network(np.zeros((1, *network.image_shape), np.uint8))  # compiled before a user waits for it

    def respond(drawn: Any) -> tuple[Any, Any, Any, str]:
        picture = drawn["composite"] if isinstance(drawn, dict) else drawn
        if picture is None:
            return {}, None, None, ""
        is_drawn = isinstance(drawn, dict)
        image = (centred if is_drawn else pixels)(picture, network.image_shape)
        if is_drawn and not image.any():
            return {}, None, None, ""
        probabilities = network(image[None])[0]
        named = {name: float(share) for name, share in zip(network.class_names, probabilities, strict=True)}
        best = int(probabilities.argmax())
        map_ = attribute(image, best)
        caption = _caption(method, network.class_names[best], bool(map_.any()))
        return named, _enlarged(image), _drawn_over(image, map_), caption

    return respond


def _attribution(network: trained.Trained) -> "tuple[str, Callable[[np.ndarray, int], np.ndarray]]":
    """Returns the method's name, and the method for one image: float32 (h, w) >= 0.

    Grad-CAM, or saliency for a network without feature maps.
    """
    import numpy as np

    from kerasdl.explain.attribution import find_layers, gradcam, saliency

    layer = find_layers(network.model).gradcam
    attribute = gradcam(network.on_pixels([layer])) if layer else saliency(network.on_pixels())
    method = f"Grad-CAM at {layer}" if layer else "Saliency"
    return method, lambda image, label: attribute(image[None].astype(np.float32), np.array([label]))[0]


def _caption(method: str, name: str, is_seen: bool) -> str:
    """Returns the heat map's caption; `is_seen` is whether there is anything on it."""
    if is_seen:
        return f"{method}: the brighter, the more it counts for **{name}**."
    return (
        f"{method} finds nothing that counts for **{name}**. `python -m kerasdl.explain` can look in other ways: "
        "`method=integrated_gradients,occlusion` or another `layer=`."
    )


def _drawn_over(image: "np.ndarray", heat: "np.ndarray") -> "np.ndarray":
    """Returns a heat map drawn on its image, uint8 (side, side, 4)."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from kerasdl.explain.overlays import Heat, show_heat
    from kerasdl.figures.panels import canvas, panel

    figure = canvas(_SIDE, _SIDE)
    show_heat(panel(figure, 0, 0, _SIDE, _SIDE), image, Heat("", heat, signed=False, if_empty="nothing positive"))
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


def require_gradio() -> None:
    # Its news, its telemetry and its fonts come from elsewhere.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"the demo needs Gradio ({error}). Install it: pip install 'kerasdl[demo]'") from error
