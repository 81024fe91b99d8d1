"""`python -m kerasdl.explain run=last input=digit.png`: shows why a network classifies a picture as it does.

Heat maps over pictures (Grad-CAM, integrated gradients, saliency, occlusion), and what the convolutions have learned
and see. What is drawn is decided by `kerasdl.explain.maps`; here pictures are chosen and figures kept.
"""

import io
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl.commands import (
    OVERWRITE,
    RUN_KEYS,
    Key,
    Values,
    boolean,
    choice,
    choices,
    command,
    fresh_directory,
    integer,
    number,
)
from kerasdl.config.explain import did_you_mean
from kerasdl.console import complain, row, say, warn
from kerasdl.errors import ConfigError, DataError, UserError
from kerasdl.files import shorten, written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasdl.explain.maps import Explanation, Pictures
    from kerasdl.trained import Trained

METHODS = ("gradcam", "integrated_gradients", "saliency", "occlusion", "filters", "feature_maps")
ENOUGH = 0.01  # the largest relative gap of integrated gradients that isn't warned of
# Test images that are searched for one of each class, for each class.
_SEARCHED = 100


def size(key: str, value: str) -> int | float:
    """Pixels (an integer >= 1) or a share of the picture's sides (a number up to 1)."""
    try:
        return integer(1)(key, value) if value.isdigit() else number(0.001, 1.0)(key, value)
    except ConfigError:
        raise ConfigError(
            f"{key} must be pixels, e.g. 5, or a share of the sides, e.g. 0.2. Received: '{value}'."
        ) from None


KEYS = (
    *RUN_KEYS,
    Key("input", "files, folders, patterns ('**/*.png', quoted), .npy files, or -, with commas between (default: the "
        "first test image of each class)"),
    Key("method", f"some of {', '.join(METHODS)} (default: gradcam,integrated_gradients)", parse=choices(*METHODS)),
    Key("layer", "the layer that gradcam, filters and feature_maps look at (default: gradcam at the last convolution "
        "or the activation after it, the others at all convolutions)"),
    Key("target", "the class to explain (default: the one predicted for each picture)"),
    Key("baseline", "the image that integrated_gradients and occlusion compare with: black, white or mean, a picture's "
        "own mean", "black", choice("black", "white", "mean")),
    Key("steps", "of integrated_gradients; doubled, up to 16-fold, while a map misses its sum by more than 1 %",
        64, integer(1)),
    Key("window", "side of the square that occlusion hides: pixels, or a share of the picture's sides", 0.2, size),
    Key("stride", "distance from one square to the next, likewise", 0.05, size),
    Key("limit", "how many pictures at most; the first ones are taken", 16, integer(1)),
    Key("invert", "turn dark on light, as on paper, into light on dark, as in MNIST", False, boolean),
    Key("background", "the background of transparent pictures: white or black", "white", choice("white", "black")),
    Key("output", "a directory to write to as well"),
    OVERWRITE,
)  # fmt: skip


def run(values: Values) -> int:
    """Explains, draws and keeps; returns 1 if a picture couldn't be read, else 0."""
    if not values["log"] and not values["output"]:
        raise ConfigError("output must be given with log=false: else nothing is kept. Add output=DIRECTORY.")
    output = fresh_directory(values["output"], values["overwrite"]) if values["output"] else None
    if values["input"]:
        from kerasdl import images

        images.named(values["input"])  # missing files are reported before TensorFlow is imported

    from kerasdl import trained

    with trained.opened(values) as network:
        from kerasdl.explain import maps
        from kerasdl.explain.plan import plan

        row("run", f"{network.id}, {network.model.name}")
        chosen = plan(network.model, values["method"], values["layer"])
        _check_window(network, values)
        target = _target(values["target"], network.class_names)
        pictures, broken = _named(network, values) if values["input"] else (_of_each_class(network, values["limit"]), 0)
        settings = maps.Settings(values["baseline"], values["steps"], values["window"], values["stride"])
        found = maps.explain(network, chosen, pictures, target, settings, note=lambda line: row("maps", line))
        try:
            count = _keep(network, maps.figures(network, chosen, found), output, values["log"])
            if found.integrated is not None:
                network.results.metrics({"explain/integrated_gradients_gap": float(found.integrated.gaps.max())})
        finally:  # results are shown even if they can't be kept
            _show(found)
        if values["log"]:
            row("kept", f"{maps.counted(count)} in the run's artifacts, folder explain")
        if output:
            row("wrote", f"{maps.counted(count)} into {shorten(output)}")
    return 1 if broken else 0


def _target(name: str | None, class_names: Sequence[str]) -> int | None:
    if name is not None and name not in class_names:
        raise ConfigError(
            f"target must be one of the network's classes. Received: '{name}'.{did_you_mean(name, class_names)}"
        )
    return None if name is None else class_names.index(name)


def _check_window(network: "Trained", values: Values) -> None:
    from kerasdl.explain.attribution.occlusion import windows

    if "occlusion" in (values["method"] or ()):
        try:
            for side in network.image_shape[:2]:
                windows(side, values["window"], values["stride"])
        except ValueError as error:
            raise ConfigError(str(error)) from error


def _named(network: "Trained", values: Values) -> "tuple[Pictures, int]":
    """Returns the first pictures that `input` names, and how many were broken; those are reported."""
    import numpy as np

    from kerasdl import images
    from kerasdl.explain.maps import Pictures

    names: list[str] = []
    pixels: list[np.ndarray] = []
    limit, broken = values["limit"], 0
    items = images.read(
        values["input"],
        network.image_shape,
        invert=values["invert"],
        background=values["background"],
        note=say,
        ahead=min(limit, 64),
    )
    for item in items:
        if item.error is not None or item.pixels is None:
            complain(f"{item.name}: {item.error}")
            broken += 1
        elif len(pixels) == limit:
            say(f"only the first {limit} pictures are explained; for more: limit=N")
            break
        else:
            names.append(item.name)
            pixels.append(item.pixels)
    if not pixels:
        raise DataError(f"input: none of the pictures of '{values['input']}' can be read.")
    return Pictures(_file_names(names), np.stack(pixels)), broken


def _of_each_class(network: "Trained", limit: int) -> "Pictures":
    """Returns the first image of each class, of the test split, or of validation where there is none."""
    import numpy as np

    from kerasdl import trained
    from kerasdl.explain.maps import Pictures

    data = network.data()
    split = data.test or data.validation or data.train
    classes = range(len(network.class_names))
    count = 8 * len(classes)
    while True:
        batch = trained.examples(split, count)
        pixels, labels = batch["image"], batch["label"]
        first = [int(np.argmax(labels == number)) for number in classes if (labels == number).any()]
        if len(first) == len(classes) or count >= min(split.size, _SEARCHED * len(classes)):
            break
        count *= 4
    if len(first) > limit:
        say(f"only the first {limit} of {len(first)} classes are explained; for more: limit=N")
    chosen = first[:limit]
    return Pictures(tuple(f"{split.name}-{number}" for number in chosen), pixels[chosen], labels[chosen])


def _file_names(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the pictures' names without folders and suffixes, fit for files; numbered where two are the same."""
    short = [
        re.sub(r"[^\w.-]+", "_", re.sub(r"\.\w+(?=\[|$)", "", Path(name).name)).strip("_.") or "picture"
        for name in names
    ]
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in short:
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name}-{seen[name]}"
        while unique in found:  # the number may be part of another's own name
            unique += "_"
        found.append(unique)
    return tuple(found)


def _show(found: "Explanation") -> None:
    """Prints a line for each picture, and a warning if integrated gradients don't add up."""
    from kerasdl.explain.maps import described

    for line in described(found):
        say(line)
    if found.note:
        empty = [row.name for row in found.rows if any(heat.is_empty and heat.note == found.note for heat in row.heats)]
        say(f"Grad-CAM is empty for {', '.join(empty)}. {found.note}")
    if found.integrated is not None:
        gap = float(found.integrated.gaps.max())
        if gap > ENOUGH:
            count = int((found.integrated.gaps > ENOUGH).sum())
            warn(
                f"the integrated gradients of {count} of {len(found.rows)} pictures don't sum to the difference of the "
                f"logits: gaps of up to {100 * gap:.2g} %. Take more steps: steps=N."
            )


def _keep(network: "Trained", figures: "Iterable[tuple[str, Figure]]", output: Path | None, log: bool) -> int:
    """Writes each figure to `output` and to the run's artifacts, and returns how many there were."""
    count = 0
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as temporary, _progress() as advance:
        folders = [folder for folder, wanted in ((Path(temporary), log), (output, output)) if folder and wanted]
        for name, figure in figures:
            content = io.BytesIO()
            figure.savefig(content, format="png")
            for folder in folders:
                _write(folder / name, content.getvalue())
            count += 1
            advance(name)
        if log:
            network.results.file(Path(temporary), "explain")
    return count


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            file.write(content)
    except OSError as error:
        raise UserError(
            f"output: '{path}' can't be written ({error.strerror or error}). Name another place."
        ) from error


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows on a terminal which picture was drawn last."""
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = SpinnerColumn(), TextColumn("drawing {task.completed} {task.description}")
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("", total=None)
        yield lambda name: bar.update(task, advance=1, description=name)


main = command(
    "explain",
    "Shows why a trained network classifies pictures as it does, and what its layers see.",
    "python -m kerasdl.explain run=last input=digit.png method=gradcam,integrated_gradients,feature_maps",
    KEYS,
    run,
    details="Explains the logit of the predicted class, or of target=. Red speaks for the class, blue against it.",
)

if __name__ == "__main__":
    main()
