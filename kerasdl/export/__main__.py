"""`python -m kerasdl.export run=...`: files of the network that run elsewhere, each checked to be the same network.

Every file takes raw features and gives what the task hands over, e.g. images uint8 and class probabilities. It is
loaded again in its own runtime and compared with Keras on real examples; one that fails isn't kept. Files are made and
compared by `kerasdl.export.making`.
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
    Key("examples", "number of examples on which each file is compared with Keras", 1000, integer(1)),
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
            right = "" if check.accuracy is None else f", {100 * check.accuracy:.2f} % right in Keras"
            _row("check", f"{check.size:,} examples of {check.split}{right}")
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
    from kerasdl.export.formats.litert_int8 import CALIBRATION_EXAMPLES
    from kerasdl.export.source import Source, in_float32

    batch = trained.examples(data.train, CALIBRATION_EXAMPLES)
    calibration = {name: batch[name] for name in network.signature.inputs}
    return Source(in_float32(network.model), network.signature, calibration)


def _check(source: "Source", data: "Data", split: str, examples: int) -> "Check":
    """Returns what files are compared on: examples of the split asked for, else of the first that there is."""
    from kerasdl.export.verification import check_of

    splits = {each.name: each for each in (data.test, data.validation, data.train) if each is not None}
    name = next(name for name in (split, *_SPLITS) if name in splits)
    if name != split:
        warn(f"the run has no {split} split: files are compared on examples of {name}.")
    batch = trained.examples(splits[name], examples)
    labels = None
    if source.signature.gives("label"):
        targets = data.info.features.targets
        labels = batch[next(target for target, feature in targets.items() if feature.kind == "label")]
    return check_of(source.predict, name, {each: batch[each] for each in source.signature.inputs}, labels)


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
        if not any(outcome.is_kept for outcome in outcomes):
            network.results.text(rows, f"export/{_TABLE}")
            _show(outcomes)
            if all(outcome.skipped for outcome in outcomes):
                raise UserError("no file is written: none of these formats is for such a model. Name another format.")
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
    if outcome.skipped:
        _row(format.name, f"skipped: {outcome.skipped}")
    elif outcome.problem:
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
    details="Each file is loaded again in its own runtime and compared with Keras; one that differs too much is not "
    "kept, and the exit code is 1. The scales of 8-bit files come from the training split. The directory appears whole "
    "or not at all.",
)

if __name__ == "__main__":
    main()
