"""The model card: the `README.md` of an export, for people who get the files without knowing kerasdl.

Its contents follow Mitchell et al. 2019, "Model Cards for Model Reporting"; its wording is in `card.md.jinja`.
Every code sample in it runs as it is in the folder.
"""

import hashlib
import importlib.metadata
import itertools
import os
import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

import kerasdl
from kerasdl.config.identity import deciding
from kerasdl.export import samples, table
from kerasdl.export.formats import Format
from kerasdl.export.making import Outcome
from kerasdl.export.source import PROBABILITIES, Source, as_predict, precision
from kerasdl.export.verification import BATCH_SIZE, Check, in_batches
from kerasdl.tracking.environment import cpu_model

if TYPE_CHECKING:
    from kerasdl.data import Data
    from kerasdl.data.features import Feature
    from kerasdl.trained import Trained

NAME = "README.md"
_PACKAGES = ("tensorflow", "keras", "numpy", "ai-edge-litert", "tf2onnx", "onnx", "onnxruntime")
_MAX_CLASSES_IN_A_LINE = 20
_COLORS = {1: "grey", 3: "red, green, blue", 4: "red, green, blue, alpha"}


@dataclass(frozen=True)
class Export:
    """What a card is about.

    Attributes:
        network: whose files they are.
        checkpoint: of the run, that the weights are from: `last`, `best`, or None for those of its end.
        data: that it was trained on.
        source: what the files were made from.
        check: what they were compared on.
        outcomes: of the formats, kept or not.
    """

    network: "Trained"
    checkpoint: str | None
    data: "Data"
    source: Source
    check: Check
    outcomes: Sequence[Outcome]

    @property
    def kept(self) -> list[Format]:
        """The formats whose files are kept."""
        return [outcome.format for outcome in self.outcomes if outcome.is_kept]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the probabilities; none if the model doesn't give a label."""
        return self.source.signature.class_names if self.check.labels is not None else ()

    @property
    def example(self) -> dict[str, np.ndarray]:
        """The inputs of the first example of the check."""
        return {name: values[0] for name, values in self.check.inputs.items()}


def write(folder: Path, export: Export) -> None:
    """Writes the card and its example into a folder that has all other files by now."""
    import jinja2

    example = samples.write_example(export.example, export.source.signature.inputs, folder)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kerasdl.export", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("card.md.jinja").render(
        **_network(export),
        **_run(export),
        **_use(export, example),
        **_verification(export),
        files=list(_hashes(folder)),
        versions=list(_versions()),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
    (folder / NAME).write_text(text, encoding="utf-8")


def _network(export: Export) -> dict[str, Any]:
    network, names, signature = export.network, export.class_names, export.source.signature
    shown = ", ".join(names[:_MAX_CLASSES_IN_A_LINE])
    model = network.config.model
    parts = [model] if "_target_" in model else [node for node in model.values() if OmegaConf.is_config(node)]
    return {
        "name": network.model.name,
        "architecture": "`, `".join(part._target_ for part in parts),
        "version": kerasdl.__version__,
        "run_id": network.id,
        "checkpoint": export.checkpoint,
        "parameters": f"{network.model.count_params():,}",
        "signature": signature.describe(),
        "task": signature.task,
        "inputs": [(name, _described(feature)) for name, feature in signature.inputs.items()],
        "outputs": [
            (name, f"float32 {_listed((*values.shape[1:],))}", export.source.outputs[name].kind)
            for name, values in export.check.outputs.items()
        ],
        "takes_images": any(feature.kind == "image" for feature in signature.inputs.values()),
        "takes_one_image": signature.takes("image"),
        "is_image_classifier": signature.takes("image") and bool(names),
        "image_size": "x".join(map(str, signature.image.shape[:2])) if signature.takes("image") else "",
        "classes": len(names),
        "class_names": shown if len(names) <= _MAX_CLASSES_IN_A_LINE else f"{shown}, ... (all are listed below)",
        "trained_in": _trained_in(export),
    }


def _described(feature: "Feature") -> str:
    """Returns what an input is, in words: type, shape, and what it means."""
    text = f"{feature.dtype} {_listed(feature.shape)} with any n"
    if feature.kind != "image":
        return f"{text}; in the unit of the data set"
    channels = feature.shape[-1]
    return f"{text}; pixels 0 to 255 as they are, {_COLORS.get(channels, f'{channels} channels')}"


def _listed(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, ('n', *shape)))})"


def _trained_in(export: Export) -> str:
    """Returns a note on a network that was trained in another precision than it is exported in, else ""."""
    model, check = export.network.model, export.check
    trained_in = precision(model)
    if trained_in == precision(export.source.model):
        return ""
    own = in_batches(as_predict(model, tuple(check.outputs)), check.inputs)
    difference = max(np.abs(own[name] - wanted).max() / check.range_of(name) for name, wanted in check.outputs.items())
    files = f"It was trained in {trained_in}; the files compute in float32 with the same weights."
    if check.labels is None:
        return (
            f"{files} On the examples of the check no output differs from what it gives in {trained_in} by more than "
            f"{difference:.2g} of its range."
        )
    same = (own[PROBABILITIES].argmax(axis=1) == check.predicted).mean()
    return (
        f"{files} On the examples of the check no probability differs by more than {difference:.2g} from what it gives "
        f"in {trained_in}, and {100 * same:.2f} % of the labels are the same."
    )


def _run(export: Export) -> dict[str, Any]:
    network, data = export.network, export.data
    splits = [split for split in (data.train, data.validation, data.test) if split is not None]
    command = network.tags.get("command", "")
    metrics = {name: value for name, value in network.metrics.items() if name.startswith(("test_", "val_"))}
    return {
        "data": data.info,
        "splits": ", ".join(f"{split.size:,} {split.name}" for split in splits),
        "citation": data.info.citation.strip(),
        "command": command,
        "is_of_kerasdl": re.search(r"\bkerasdl[.\- ]train\b", command) is not None,
        "configuration": OmegaConf.to_yaml(OmegaConf.create(deciding(network.config))).strip(),
        "metrics": [(name, f"{value:.6g}") for name, value in sorted(metrics.items())],
        "commit": network.tags.get("mlflow.source.git.commit", ""),
        "is_dirty": network.tags.get("git.dirty") == "true",
    }


def _use(export: Export, example: str) -> dict[str, Any]:
    alike = itertools.groupby(export.kept, lambda format: format.sample)
    names, classes = export.source.names, export.class_names
    return {
        "reading": samples.reading(example, export.example, export.source.signature.inputs, classes).strip(),
        "samples": [_sample(list(formats), names) for _, formats in alike],
        "showing": samples.showing(names, classes),
        "example": _example(export, example),
    }


def _sample(formats: Sequence[Format], names: samples.Names) -> tuple[str, str]:
    """Returns which files a code sample is for, and the sample, which has the first of them."""
    files = " or ".join(f"{format.title} (`{format.path}`)" for format in formats)
    return files, formats[0].sample(formats[0].path, names).strip()


def _example(export: Export, path: str) -> str:
    """Returns what the example is, and what Keras gives for it."""
    check, classes = export.check, export.class_names
    what = f"`{path}` is" if path else "The inputs above are those of"
    if check.labels is not None:
        probabilities = check.outputs[PROBABILITIES][0]
        return (
            f"{what} the first {'image' if export.source.names.is_image else 'example'} of the check and shows class "
            f"{classes[check.labels[0]]}. Keras predicts {classes[probabilities.argmax()]}, with probability "
            f"{probabilities.max():.4f}."
        )
    given = [
        f"`{name}` {values[0].item():.6g}" if values[0].size == 1 else f"`{name}` with mean {values[0].mean():.6g}"
        for name, values in check.outputs.items()
    ]
    return f"{what} the first example of the check. Keras gives {' and '.join(given)}."


def _verification(export: Export) -> dict[str, Any]:
    check = export.check
    has_int8 = any(format.name == "litert_int8" for format in export.kept)
    return {
        "check_size": f"{check.size:,}",
        "check_split": check.split,
        "check_accuracy": "" if check.accuracy is None else f"{100 * check.accuracy:.2f} %",
        "batch_size": BATCH_SIZE,
        "table": table.markdown(export.outcomes),
        "tolerances": table.tolerances(export.outcomes),
        "not_kept": [(outcome.format.name, outcome.problem) for outcome in export.outcomes if outcome.problem],
        "skipped": [(outcome.format.name, outcome.skipped) for outcome in export.outcomes if outcome.skipped],
        "calibration": len(next(iter(export.source.calibration.values()))) if has_int8 else 0,
        "processor": f"{cpu_model()}, {os.cpu_count()} threads",
    }


def _hashes(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yields (path, bytes, SHA-256) of every file in a folder."""
    for file in sorted(found for found in folder.rglob("*") if found.is_file()):
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        yield file.relative_to(folder).as_posix(), f"{file.stat().st_size:,}", digest


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()}"
    for package in _PACKAGES:
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue  # it wasn't needed
