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
from kerasdl.export.source import Source, precision
from kerasdl.export.verification import BATCH_SIZE, Check
from kerasdl.tracking.environment import cpu_model

if TYPE_CHECKING:
    from kerasdl.data import Data
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
        return [outcome.format for outcome in self.outcomes if not outcome.problem]


def write(folder: Path, export: Export) -> None:
    """Writes the card and its example image into a folder that has all other files by now."""
    import jinja2

    example = samples.write_example(export.check.images[0], folder)
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
    network, names = export.network, export.network.class_names
    height, width, channels = network.image_shape
    shown = ", ".join(names[:_MAX_CLASSES_IN_A_LINE])
    return {
        "name": network.model.name,
        "architecture": network.config.model._target_,
        "version": kerasdl.__version__,
        "run_id": network.id,
        "checkpoint": export.checkpoint,
        "parameters": f"{network.model.count_params():,}",
        "shape": f"{height}x{width}",
        "shape_list": f"{height}, {width}, {channels}",
        "channels": _COLORS.get(channels, f"{channels} channels"),
        "classes": len(names),
        "class_names": shown if len(names) <= _MAX_CLASSES_IN_A_LINE else f"{shown}, ... (all are listed below)",
        "trained_in": _trained_in(export),
    }


def _trained_in(export: Export) -> str:
    """Returns a note on a network that was trained in another precision than it is exported in, else ""."""
    model, check = export.network.model, export.check
    trained_in = precision(model)
    if trained_in == precision(export.source.model):
        return ""
    own = np.asarray(model.predict(check.images, batch_size=BATCH_SIZE, verbose=0))
    difference = np.abs(own - check.probabilities).max()
    same = (own.argmax(axis=1) == check.probabilities.argmax(axis=1)).mean()
    return (
        f"It was trained in {trained_in}; the files compute in float32 with the same weights. On the images of the "
        f"check no probability differs by more than {difference:.2g} from what it gives in {trained_in}, and "
        f"{100 * same:.2f} % of the labels are the same."
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
    names, probabilities = export.network.class_names, export.check.probabilities[0]
    alike = itertools.groupby(export.kept, lambda format: format.sample)
    return {
        "reading": samples.reading(example, export.network.image_shape, names).strip(),
        "samples": [_sample(list(formats)) for _, formats in alike],
        "example": example,
        "example_label": names[export.check.labels[0]],
        "example_predicted": names[probabilities.argmax()],
        "example_probability": f"{probabilities.max():.4f}",
    }


def _sample(formats: Sequence[Format]) -> tuple[str, str]:
    """Returns which files a code sample is for, and the sample, which has the first of them."""
    files = " or ".join(f"{format.title} (`{format.path}`)" for format in formats)
    return files, formats[0].sample.replace("{path}", formats[0].path).strip()


def _verification(export: Export) -> dict[str, Any]:
    check = export.check
    has_int8 = any(format.name == "litert_int8" for format in export.kept)
    return {
        "check_images": f"{len(check.labels):,}",
        "check_split": check.split,
        "check_accuracy": f"{100 * check.accuracy:.2f} %",
        "batch_size": BATCH_SIZE,
        "table": table.markdown(export.outcomes),
        "tolerances": table.tolerances(export.outcomes),
        "not_kept": [(outcome.format.name, outcome.problem) for outcome in export.outcomes if outcome.problem],
        "calibration": len(export.source.calibration) if has_int8 else 0,
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
