"""`python -m kerasdl.predict run=last input=digits/`: classifies pictures with a trained network.

Pictures come from `kerasdl.images`, predictions from `kerasdl.trained.predicting`. They are written, batch by batch and
as text (`kerasdl.predict.formats`), to the terminal or a file, and to the run in MLflow.
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
from kerasdl.commands import OVERWRITE, REQUIRED, RUN_KEYS, Key, Values, boolean, choice, command, fresh_file, integer
from kerasdl.errors import ConfigError
from kerasdl.files import written_whole

if TYPE_CHECKING:
    from kerasdl.trained import Trained
    from kerasdl.trained.predicting import Prediction

Writer = Callable[[Sequence["Prediction"]], None]

_SUFFIXES = {".csv": "csv", ".jsonl": "jsonl"}
# Further broken pictures are reported in the output only.
_MOST_COMPLAINTS = 20

KEYS = (
    *RUN_KEYS,
    Key("input", "files, folders, patterns ('**/*.png', quoted), .npy files, or - for standard input: a picture, or "
        'a list of names; commas between, a name that has some in ""', REQUIRED),
    Key("output", "a file to write, .csv or .jsonl (default: standard output)"),
    Key("format", "table, csv or jsonl (default: by output's suffix; table on a terminal; else csv)",
        parse=choice("table", "csv", "jsonl")),
    Key("top", "how many classes a row names", 3, integer(1)),
    Key("probabilities", "add the probability of every class", False, boolean),
    Key("invert", "turn dark on light, as on paper, into light on dark, as in MNIST", False, boolean),
    Key("background", "the background of transparent pictures: white or black", "white", choice("white", "black")),
    Key("batch_size", "pictures in a batch", 64, integer(1)),
    OVERWRITE,
)  # fmt: skip


def run(values: Values) -> int:
    """Predicts and writes; returns 1 if a picture couldn't be read, else 0."""
    from kerasdl import images, trained
    from kerasdl.trained import predicting

    kind = _format(values)  # mistakes are reported before TensorFlow is imported
    output = fresh_file(values["output"], values["overwrite"]) if values["output"] else None
    inputs = images.named(values["input"])
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):  # messages: standard output is for rows
            network = stack.enter_context(trained.opened(values))
        function = predicting.compiled(network.model, network.image_shape)
        items = images.read(
            inputs,
            network.image_shape,
            invert=values["invert"],
            background=values["background"],
            note=_note,
            ahead=values["batch_size"],
        )
        batches = predicting.in_batches(function, network.class_names, items, values["batch_size"], values["top"])
        record = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasdl-"))) / f"{_now()}.csv"
        with contextlib.ExitStack() as files:
            if output:
                write = _to(files.enter_context(written_whole(output)))
            else:
                write = _to_standard_output(kind, values["log"])
            writers = [_writer(kind, write, network, values)]
            if values["log"]:
                writers.append(_writer("csv", _to(files.enter_context(record.open("wb"))), network, values))
            broken = _write(batches, writers, rows_are_seen=output is None and sys.stdout.isatty())
        if values["log"]:
            network.results.file(record, "predictions")
    return 1 if broken else 0


def _format(values: Values) -> str:
    """Returns `table`, `csv` or `jsonl`."""
    if values["format"]:
        return values["format"]
    if not values["output"]:
        return "table" if sys.stdout.isatty() else "csv"
    suffix = Path(values["output"]).suffix.lower()
    if suffix not in _SUFFIXES:
        raise ConfigError(f"output must end with .csv or .jsonl. Received: '{values['output']}'. Or add format=...")
    return _SUFFIXES[suffix]


def _writer(kind: str, write: Callable[[str], None], network: "Trained", values: Values) -> Writer:
    """Returns what writes a batch's rows, the opening line being written."""
    from kerasdl.predict.formats import FORMATS

    is_seen = kind == "table" and not values["output"] and sys.stdout.isatty()
    width = {"width": shutil.get_terminal_size().columns} if is_seen else {}
    text = FORMATS[kind](network.class_names, values["top"], values["probabilities"], **width)
    write(text.opening)
    return lambda batch: write(text.rows(batch))


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


def _write(batches: "Iterable[Sequence[Prediction]]", writers: Sequence[Writer], rows_are_seen: bool) -> int:
    """Writes all rows, shows progress where the rows themselves don't, and returns how many pictures were broken."""
    from kerasdl.predict.formats import printable

    stopwatch, count, broken = console.Stopwatch(), 0, 0
    with _progress(shown=not rows_are_seen) as advance:
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
        f"{count:,} {'picture' if count == 1 else 'pictures'}{f', {broken:,} of them broken,' if broken else ''} in "
        f"{console.duration(stopwatch.seconds())} ({_speed(count, stopwatch.seconds())})"
    )
    return broken


@contextlib.contextmanager
def _progress(shown: bool) -> "Iterator[Callable[[int, float], None]]":
    """Shows how many pictures are done, and how fast, on a terminal; standard output is left alone."""
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
        yield lambda count, seconds: progress.update(task, description=f"{count:,} pictures  {_speed(count, seconds)}")


def _speed(count: int, seconds: float) -> str:
    return f"{count / max(seconds, 1e-9):,.0f} images/s"


def _now() -> str:
    """Returns the local time as a file's name, to the millisecond: two commands may begin within a second."""
    return datetime.now().isoformat(sep="_", timespec="milliseconds").replace(":", "-")


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # standard output is for rows


main = command(
    "predict",
    "Classifies pictures with a trained network.",
    "python -m kerasdl.predict run=last input='digits/**/*.png' invert=true output=digits.csv",
    KEYS,
    run,
)

if __name__ == "__main__":
    main()
