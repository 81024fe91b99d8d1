"""From pictures to maps, and from maps to the figures that `kerasdl.explain` writes and keeps.

The maps are computed by `kerasdl.explain.attribution` and drawn by `overlays` and `features`; here it is decided
what is drawn of what, and under which name.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from kerasdl.console import Stopwatch, duration
from kerasdl.explain import attribution, features, overlays
from kerasdl.explain.attribution import Integrated
from kerasdl.explain.attribution.layers import kernels
from kerasdl.explain.overlays import Explained, Heat
from kerasdl.explain.plan import Plan
from kerasdl.trained import Trained

TITLES = {
    "gradcam": "Grad-CAM at {layer}",
    "integrated_gradients": "integrated gradients",
    "saliency": "saliency",
    "occlusion": "occlusion",
}
SIGNED = ("integrated_gradients", "occlusion")
# Written on a picture whose map is zero everywhere; Grad-CAM cuts off what is negative.
EMPTY = {"gradcam": "nothing positive"}


@dataclass(frozen=True)
class Pictures:
    """What is explained.

    Attributes:
        names: one a picture, unique and fit for a file.
        pixels: uint8 (n, h, w, c) of the network's shape, n >= 1.
        labels: the true classes, int64 (n,), where they are known.
    """

    names: tuple[str, ...]
    pixels: np.ndarray
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Settings:
    """How maps are computed, see `kerasdl.explain.attribution`.

    Attributes:
        baseline: of integrated gradients and occlusion: `black`, `white` or `mean`.
        steps: of integrated gradients.
        window, stride: of occlusion.
    """

    baseline: str = "black"
    steps: int = 64
    window: int | float = 0.2
    stride: int | float = 0.05


@dataclass(frozen=True)
class Explanation:
    """The maps of all pictures, not yet drawn.

    Attributes:
        rows: one a picture, with a heat map for each of the plan's attribution methods, in their order.
        integrated: what integrated gradients found, if it is one of them.
        note: where to look instead of empty Grad-CAM maps, "" if none is empty.
    """

    rows: tuple[Explained, ...]
    integrated: Integrated | None
    note: str = ""


def counted(pictures: int) -> str:
    """Returns `1 picture`, `2 pictures`."""
    return f"{pictures} {'picture' if pictures == 1 else 'pictures'}"


def explain(
    network: Trained,
    plan: Plan,
    pictures: Pictures,
    target: int | None = None,
    settings: Settings | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Explanation:
    """Computes the attributions that were planned.

    Args:
        network: the trained network.
        plan: of `kerasdl.explain.plan`.
        pictures: what to explain.
        target: the class to explain; None explains each picture's predicted class.
        settings: how.
        note: receives a line when a method is done.

    Raises:
        UserError: the network can't be differentiated where that is needed.
        ConfigError: the settings don't fit the size of the images.
    """
    settings = settings or Settings()
    probabilities = network(pictures.pixels)
    classes = probabilities.argmax(axis=1) if target is None else np.full(len(probabilities), target)
    columns, integrated, advice = [], None, ""
    for method in plan.maps:
        stopwatch = Stopwatch()
        if method == "integrated_gradients":
            integrated = _integrated(network, pictures, classes, settings)
            maps, notes = integrated.maps, integrated.described()
        else:
            maps = _maps(network, method, plan, pictures, classes, settings)
            notes = [""] * len(classes)
        if method == "gradcam" and not maps.any(axis=(1, 2)).all():
            advice = _alternatives(network, plan)
            notes = ["" if map_.any() else advice for map_ in maps]
        title = TITLES[method].format(layer=plan.gradcam)
        note(f"{title}, {counted(len(classes))}, {duration(stopwatch.seconds())}")
        if_empty = EMPTY.get(method, "zero everywhere")
        columns.append(
            [Heat(title, map_, method in SIGNED, line, if_empty) for map_, line in zip(maps, notes, strict=True)]
        )
    rows = []
    for number, name in enumerate(pictures.names):
        lines, wrong = _facts(network, pictures, number, probabilities[number], target)
        heats = tuple(column[number] for column in columns)
        rows.append(Explained(name, pictures.pixels[number], lines, wrong, heats))
    return Explanation(tuple(rows), integrated, advice)


def figures(network: Trained, plan: Plan, explanation: Explanation) -> Iterator[tuple[str, Figure]]:
    """Draws an explanation, and the filters and feature maps that were planned.

    Yields:
        A file's name below `explain/`, such as `gradcam/test-3.png`, and its figure, made when it is asked for.
    """
    rows = explanation.rows
    if plan.maps:
        yield "sheet.png", overlays.sheet(rows, explanation.note)
    for number, method in enumerate(plan.maps):
        for explained in rows:
            yield f"{method}/{explained.name}.png", overlays.overlay(explained, explained.heats[number])
    first = attribution.find_layers(network.model).convolutions[:1]
    for name in plan.filters:
        colored = name in first and network.image_shape[2] == 3
        yield f"filters_{name}.png", features.filters(kernels(network.model.get_layer(name)), name, colored=colored)
    if plan.feature_maps:
        model = network.on_pixels(plan.feature_maps)
        for explained in rows:
            _, *outputs = model(explained.image[None].astype("float32"), training=False)
            line = ", ".join((explained.name, *explained.lines))
            for name, output in zip(plan.feature_maps, outputs, strict=True):
                maps = np.asarray(output[0], "float32")
                yield (
                    f"feature_maps_{name}_{explained.name}.png",
                    features.feature_maps(explained.image, maps, name, [line]),
                )


def _maps(
    network: Trained, method: str, plan: Plan, pictures: Pictures, classes: np.ndarray, settings: Settings
) -> np.ndarray:
    if method == "gradcam":
        return attribution.gradcam(network.on_pixels([str(plan.gradcam)]))(pictures.pixels, classes)
    if method == "saliency":
        return attribution.saliency(network.on_pixels())(pictures.pixels, classes)
    baselines = attribution.baseline_images(pictures.pixels, settings.baseline)
    attribute = attribution.occlusion(network.on_pixels(), settings.window, settings.stride)
    return attribute(pictures.pixels, classes, baselines)


def _alternatives(network: Trained, plan: Plan) -> str:
    """Returns in words what an empty Grad-CAM map means, and where to look instead."""
    places = [TITLES[method] for method in ("integrated_gradients", "occlusion")]
    first = attribution.find_layers(network.model).convolutions[:1]
    if first and first[0] != plan.gradcam:
        places.append(f"an earlier layer (layer={first[0]})")
    return (
        f"Nothing positive: at {plan.gradcam} no part of the image raises the class's logit, and Grad-CAM leaves out "
        f"what lowers it. Look at {', '.join(places[:-1])} or {places[-1]} instead."
    )


def _integrated(network: Trained, pictures: Pictures, classes: np.ndarray, settings: Settings) -> Integrated:
    baselines = attribution.baseline_images(pictures.pixels, settings.baseline)
    attribute = attribution.integrated_gradients(network.on_pixels(), settings.steps)
    return attribute(pictures.pixels, classes, baselines)


def _facts(
    network: Trained, pictures: Pictures, number: int, probabilities: np.ndarray, target: int | None
) -> tuple[tuple[str, ...], bool]:
    """Returns what is known of a picture, in lines, and whether it is known to be misclassified."""
    names, predicted = network.class_names, int(probabilities.argmax())
    lines = [f"predicted {names[predicted]} ({100 * probabilities[predicted]:.1f} %)"]
    wrong = False
    if pictures.labels is not None:
        lines.insert(0, f"true {names[pictures.labels[number]]}")
        wrong = bool(pictures.labels[number] != predicted)
    if target is not None and target != predicted:
        lines.append(f"explained {names[target]} ({100 * probabilities[target]:.1f} %)")
    return tuple(lines), wrong


def described(explanation: Explanation) -> Sequence[str]:
    """Returns a line for each picture: its predicted class, and whether its integrated gradients add up."""
    facts = [", ".join(row.lines) for row in explanation.rows]
    widths = max(len(row.name) for row in explanation.rows), max(map(len, facts))
    sums = [""] * len(facts) if explanation.integrated is None else explanation.integrated.described()
    return [
        f"{row.name:<{widths[0]}}  {line:<{widths[1]}}  {total}".rstrip()
        for row, line, total in zip(explanation.rows, facts, sums, strict=True)
    ]
