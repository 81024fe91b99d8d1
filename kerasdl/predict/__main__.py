"""`python -m kerasdl.predict run=last input=digits/`: what a trained network makes of pictures or of a table's rows.

The signature of the model decides what `input=` names, and what is written. Predictions come from
`kerasdl.trained.predicting`. They are written, batch by batch, as text (`formats` for labels, `numbers`) to the
terminal or a file, as `arrays`, or as `pictures`; and as text to the run in MLflow. What goes where is decided by
`plan`.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kerasdl import console, streams
from kerasdl.commands import OVERWRITE, REQUIRED, RUN_KEYS, Key, Values, boolean, choice, command, integer
from kerasdl.files import written_whole
from kerasdl.predict import plan

if TYPE_CHECKING:
    from kerasdl.data.features import Feature
    from kerasdl.models.signature import Signature
    from kerasdl.trained.predicting import Prediction

Writer = Callable[[Sequence["Prediction"]], None]

# Further broken examples are reported in the output only.
_MOST_COMPLAINTS = 20

DETAILS = (
    "What input names, and what is written, is decided by what the run's model takes and gives. Pictures are turned "
    "upright, made grey or RGB (RGBA for a network of such images), and resized as in the data set. A table has a "
    "column for each feature, in any order. A picture or row that cannot be read is named, the others are predicted, "
    "and the exit code is 1. Rows appear batch by batch. The table is kept with the run as predictions/<time>.csv."
)

KEYS = (
    *RUN_KEYS,
    Key("input", "pictures: files, folders, patterns ('**/*.png', quoted), .npy files, or - for standard input: a "
        "picture, or a list of names. Or tables: .csv files with a column for each feature, .npy files, or - for "
        'CSV on standard input. Commas between, a name that has some in ""', REQUIRED),
    Key("output", "a file to write: .csv or .jsonl, .npz for arrays of all outputs; or a folder for images, with / at "
        "its end (default: rows on standard output)"),
    Key("give", "the output to write, of a model with several, e.g. reconstruction or code (default: the first; all in "
        "an .npz file)"),
    Key("format", "table, csv or jsonl (default: by output's suffix; table on a terminal; else csv)",
        parse=choice("table", "csv", "jsonl")),
    Key("top", "of a label: how many classes a row names", 3, integer(1)),
    Key("probabilities", "of a label: add the probability of every class", False, boolean),
    Key("invert", "of pictures: turn dark on light, as on paper, into light on dark, as in MNIST", False, boolean),
    Key("background", "the background of transparent pictures: white or black", "white", choice("white", "black")),
    Key("batch_size", "pictures or rows in a batch", 64, integer(1)),
    OVERWRITE,
)  # fmt: skip


def run(values: Values) -> int:
    """Predicts and writes; returns 1 if a picture or row couldn't be read, else 0."""
    from kerasdl import images, trained
    from kerasdl.trained import predicting

    target = plan.destination(values)  # mistakes are reported before TensorFlow is imported
    inputs = images.named(values["input"])
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):  # messages: standard output is for rows
            network = stack.enter_context(trained.opened(values))
        signature = network.signature
        noun = "row" if predicting.takes_table(signature) else "picture"
        outputs = plan.given(values, signature, target, KEYS)
        items = predicting.read(
            inputs,
            signature,
            invert=values["invert"],
            background=values["background"],
            note=_note,
            ahead=values["batch_size"],
        )
        function = predicting.compiled(network.model, signature)
        batches = predicting.in_batches(function, signature, items, values["batch_size"], values["top"])
        record = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasdl-"))) / f"{_now()}.csv"
        with contextlib.ExitStack() as files:
            writers = [_to_target(target, files, signature, outputs, values)]
            if values["log"]:
                write = _to(files.enter_context(record.open("wb")))
                writers.append(_rows("csv", write, signature, outputs, values))
            seen = target.path is None and sys.stdout.isatty()
            broken = _write(batches, writers, noun, rows_are_seen=seen)
        if values["log"]:
            network.results.file(record, "predictions")
    return 1 if broken else 0


def _to_target(
    target: plan.Destination,
    files: contextlib.ExitStack,
    signature: "Signature",
    outputs: Sequence[str],
    values: Values,
) -> Writer:
    """Returns what writes a batch to where the user wants it; `files` ends what is written."""
    if target.kind == plan.FOLDER:
        from kerasdl.predict.pictures import PngFolder

        assert target.path is not None
        return PngFolder(target.path, outputs[0]).add
    if target.kind == plan.NPZ:
        from kerasdl.predict.arrays import Npz

        assert target.path is not None
        file, arrays = files.enter_context(written_whole(target.path)), Npz(_features(signature, outputs))
        files.push(lambda kind, *_: arrays.write(file) if kind is None else None)  # type: ignore[func-returns-value]
        return arrays.add
    if target.path:
        write = _to(files.enter_context(written_whole(target.path)))
        return _rows(target.kind, write, signature, outputs, values)
    width = shutil.get_terminal_size().columns if target.kind == "table" and sys.stdout.isatty() else None
    return _rows(target.kind, _to_standard_output(target.kind, values["log"]), signature, outputs, values, width)


def _rows(
    kind: str,
    write: Callable[[str], None],
    signature: "Signature",
    outputs: Sequence[str],
    values: Values,
    width: int | None = None,
) -> Writer:
    """Returns what writes a batch's rows, the opening line being written; images have no place in them."""
    from kerasdl.predict import formats, numbers

    fitted = {"width": width} if width else {}
    key = "file" if signature.takes("image") else "row"
    text: formats.Format
    if signature.gives("label"):
        text = formats.FORMATS[kind](signature.class_names, values["top"], values["probabilities"], key, **fitted)
    else:
        written = {name: each for name, each in _features(signature, outputs).items() if each.kind != "image"}
        text = numbers.FORMATS[kind](written, key, **fitted)
    write(text.opening)
    return lambda batch: write(text.rows(batch))


def _features(signature: "Signature", outputs: Sequence[str]) -> "dict[str, Feature]":
    return {name: signature.outputs[name] for name in outputs}


def _to(file: BinaryIO) -> Callable[[str], None]:
    """Returns what writes rows to a file at once."""
    from kerasdl.predict.formats import encoded

    def write(rows: str) -> None:
        file.write(encoded(rows))
        file.flush()

    return write


def _to_standard_output(kind: str, log: bool) -> Callable[[str], None]:
    """Returns what writes rows to standard output at once: data in UTF-8 whatever the terminal has, a table for it.

    If it can't be written (a full disk), no more rows are; with `log` the run still gets the whole table.
    """
    from kerasdl.predict.formats import encoded

    def write(rows: str) -> None:
        try:
            streams.send(streams.readable(rows, sys.stdout.encoding) if kind == "table" else encoded(rows))
        except streams.OutputLost as lost:
            if lost.reader_left or not log:
                raise

    return write


def _write(batches: "Iterable[Sequence[Prediction]]", writers: Sequence[Writer], noun: str, rows_are_seen: bool) -> int:
    """Writes all predictions, shows progress where rows themselves don't, and returns how many examples were broken."""
    from kerasdl.predict.formats import printable

    stopwatch, count, broken = console.Stopwatch(), 0, 0
    with _progress(noun, shown=not rows_are_seen) as advance:
        for batch in batches:
            for write in writers:
                write(batch)
            for prediction in batch:
                broken += prediction.error is not None
                if prediction.error is not None and not rows_are_seen and broken <= _MOST_COMPLAINTS:
                    console.complain(f"{printable(prediction.name)}: {printable(prediction.error)}")
            count += len(batch)
            advance(count, stopwatch.seconds())
    _note(
        f"{count:,} {noun if count == 1 else f'{noun}s'}{f', {broken:,} of them broken,' if broken else ''} in "
        f"{console.duration(stopwatch.seconds())} ({_speed(count, stopwatch.seconds(), noun)})"
    )
    return broken


@contextlib.contextmanager
def _progress(noun: str, shown: bool) -> "Iterator[Callable[[int, float], None]]":
    """Shows how many examples are done, and how fast, on a terminal; standard output is left alone."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    terminal = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=terminal,
        transient=True,
        redirect_stdout=False,
        disable=not (shown and terminal.is_terminal),
    ) as progress:
        task = progress.add_task("compiling ...", total=None)
        yield lambda count, seconds: progress.update(
            task, description=f"{count:,} {noun}s  {_speed(count, seconds, noun)}"
        )


def _speed(count: int, seconds: float, noun: str) -> str:
    return f"{count / max(seconds, 1e-9):,.0f} {'images' if noun == 'picture' else f'{noun}s'}/s"


def _now() -> str:
    """Returns the local time as a file's name, to the millisecond: two commands may begin within a second."""
    return datetime.now().isoformat(sep="_", timespec="milliseconds").replace(":", "-")


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # standard output is for rows


main = command(
    "predict",
    "Predicts from pictures or tables with a trained network.",
    "python -m kerasdl.predict run=last input='digits/**/*.png' invert=true output=digits.csv",
    KEYS,
    run,
    details=DETAILS,
)

if __name__ == "__main__":
    main()
