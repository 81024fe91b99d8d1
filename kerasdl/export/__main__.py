"""`python -m kerasdl.export run=...`: files of the network that run elsewhere, each checked to be the same network.

Every file takes raw uint8 images and gives class probabilities. It is loaded again in its own runtime and compared
with Keras on real images; one that fails isn't kept. Files are made and compared by `kerasdl.export.making`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl import trained
from kerasdl.commands import OVERWRITE, RUN_KEYS, Key, Values, choice, choices, command, fresh_directory, integer
from kerasdl.console import Stopwatch, complain, say, warn
from kerasdl.errors import UserError
from kerasdl.export.formats import FORMATS, Format
from kerasdl.files import shorten

if TYPE_CHECKING:
    from kerasdl.data import Data
    from kerasdl.export.making import Outcome
    from kerasdl.export.source import Source
    from kerasdl.export.verification import Check

_NAMES = tuple(format.name for format in FORMATS)
_SPLITS = ("test", "validation", "train")
_TABLE = "verification.csv"
KEYS = (
    *RUN_KEYS,
    Key("format", f"some of {','.join(_NAMES)} (default: all whose packages are installed)", parse=choices(*_NAMES)),
    Key("output", "a directory (default: exports/<first 8 digits of the run id>)"),
    OVERWRITE,
    Key("examples", "number of images on which each file is compared with Keras", 1000, integer(1)),
    Key("split", "where they are from: test, validation or train", "test", choice(*_SPLITS)),
)


def run(values: Values) -> int:
    """Makes the files; returns 1 if one of them isn't kept."""
    formats = _formats(values["format"])
    if values["output"]:
        _directory(values["output"], values["overwrite"])  # refused before anything is loaded
    with trained.opened(values) as network:
        import tensorflow as tf

        from kerasdl.export.source import float32_policy

        directory = _directory(values["output"] or f"exports/{network.id[:8]}", values["overwrite"])
        data = network.data()
        # A GPU rounds in its own way; the other runtimes, and most machines that get the files, have none.
        with tf.device("/CPU:0"), float32_policy():
            source = _source(network, data)
            check = _check(source, data, values["split"], values["examples"])
            _row("run", f"{network.id}, {network.model.name} trained on {data.info.name}")
            _row("check", f"{len(check.labels):,} images of {check.split}, {100 * check.accuracy:.2f} % right in Keras")
            return _export(network, values, data, source, check, formats, directory)


def _formats(asked: Sequence[str] | None) -> list[Format]:
    """Returns the formats to make.

    Raises:
        UserError: one that was asked for needs packages that aren't installed.
    """
    found = []
    for format in FORMATS:
        if asked and format.name not in asked:
            continue
        missing = format.missing()
        if not missing:
            found.append(format)
            continue
        lacking = f"needs {', '.join(missing)}: pip install 'kerasdl[{format.name}]'"
        if asked:
            raise UserError(f"format={format.name} {lacking}")
        _row(format.name, f"skipped: {lacking}")
    return found


def _directory(output: str, overwrite: bool) -> Path:
    """Returns the directory of the export; raises UserError if it has files, or files that no export makes."""
    from kerasdl.export import card, samples
    from kerasdl.export.folder import check_replaceable

    directory = fresh_directory(output, overwrite)
    check_replaceable(directory, {card.NAME, _TABLE, *samples.EXAMPLES, *(format.path for format in FORMATS)})
    return directory


def _source(network: trained.Trained, data: "Data") -> "Source":
    from kerasdl.export.formats.litert_int8 import CALIBRATION_IMAGES
    from kerasdl.export.source import Source, in_float32

    calibration = trained.examples(data.train, CALIBRATION_IMAGES)
    return Source(in_float32(network.model), calibration["image"])


def _check(source: "Source", data: "Data", split: str, examples: int) -> "Check":
    """Returns what files are compared on: images of the split asked for, else of the first that there is."""
    from kerasdl.export.verification import check_of

    splits = {each.name: each for each in (data.test, data.validation, data.train) if each is not None}
    name = next(name for name in (split, *_SPLITS) if name in splits)
    if name != split:
        warn(f"the run has no {split} split: files are compared on images of {name}.")
    batch = trained.examples(splits[name], examples)
    return check_of(source.model, name, batch["image"], batch["label"])


def _export(
    network: trained.Trained,
    values: Values,
    data: "Data",
    source: "Source",
    check: "Check",
    formats: Sequence[Format],
    directory: Path,
) -> int:
    """Makes the formats, shows the results and keeps them; returns the exit code."""
    from kerasdl.export import card, table
    from kerasdl.export.folder import whole_directory

    with whole_directory(directory, values["overwrite"]) as folder:
        outcomes = [_make(format, source, folder, check) for format in formats]
        rows = table.csv_text(outcomes, check)
        if all(outcome.problem for outcome in outcomes):
            network.results.text(rows, f"export/{_TABLE}")
            _show(outcomes)
            raise UserError("no file gives the results of Keras, so none is kept.")
        (folder / _TABLE).write_text(rows, encoding="utf-8")
        card.write(folder, card.Export(network, values["checkpoint"], data, source, check, outcomes))
    try:
        network.results.file(directory, "export")
        network.results.metrics(table.metrics(outcomes))
    finally:  # the directory is there even if MLflow fails
        _show(outcomes)
        _row("written", f"{shorten(directory)}, with a model card: {card.NAME}")
    return 1 if any(outcome.problem for outcome in outcomes) else 0


def _make(format: Format, source: "Source", folder: Path, check: "Check") -> "Outcome":
    from kerasdl.export.making import make

    watch = Stopwatch()
    outcome = make(format, source, folder, check)
    if outcome.problem:
        complain(f"{format.name} is not kept: {outcome.problem}")
    else:
        _row(format.name, f"{format.path} made and compared in {watch.seconds():.1f} s")
    return outcome


def _show(outcomes: "Sequence[Outcome]") -> None:
    """Prints the table: on a terminal in its width, elsewhere as wide as it is."""
    from rich.console import Console

    from kerasdl.export import table

    console = Console(file=sys.stdout, highlight=False)
    say("")
    if console.is_terminal:
        table.show(outcomes, console)
        say("")
    else:
        say(table.text(outcomes))


def _row(name: str, text: str) -> None:
    say(f"{name:<12} {text}")


main = command(
    "export",
    "Writes a trained network as files for other runtimes, each checked to be the same network.",
    "python -m kerasdl.export run=last format=keras,litert_int8",
    KEYS,
    run,
    details="Each file is loaded again in its own runtime and compared with Keras; one that differs too much is not kept, "
    "and the exit code is 1. The scales of 8-bit files come from the training split. The directory appears whole or not "
    "at all.",
)

if __name__ == "__main__":
    main()
