"""`python -m kerasdl.report run=<id>`: one run's page; `sweep=<name>`: a table of results over seeds.

The page is made by `kerasdl.report.run_page`. The table has a row for each configuration with its mean over seeds, for
a sweep, an MLflow experiment or several runs: on the terminal, or as a CSV, Markdown, text or picture file. Runs are
read from MLflow alone (`kerasdl.tracking.reading`).
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl.commands import needs, paragraphs
from kerasdl.config.composition import key_values, place
from kerasdl.config.explain import did_you_mean
from kerasdl.config.metrics import PREFERRED, is_maximized
from kerasdl.config.schema import Paths
from kerasdl.errors import ConfigError, UserError
from kerasdl.streams import entry_point

if TYPE_CHECKING:
    from kerasdl.report.seed_tables import Report
    from kerasdl.report.seeds import Comparison, Table
    from kerasdl.tracking.reading import Reader, Run

SOURCES = ("sweep", "experiment", "runs")
KEYS = (*SOURCES, "metric", "direction", "output", "compare", "paths.output_dir", "tracking.uri")
SUFFIXES = (".csv", ".md", ".png", ".txt")


@entry_point()
def main(arguments: list[str] | None = None) -> None:
    """Parses the command line (`sys.argv[1:]` by default) and reports.

    Exit codes: 0 done; 2 a mistyped argument; 1 if the store lacks what was asked for, or a file can't be written; 130
    interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        if any(argument.startswith("run=") for argument in options.arguments):
            from kerasdl.report.run_page.command import report_run

            report_run(options.arguments)
            return
        values = key_values(options.arguments, KEYS)
        outputs = _outputs(options.arguments)
        source = _source(values)
        pair = _pair(values.get("compare"))
        report = _report(values, source, pair)
        for path in outputs:
            _write(report, path)
        if not outputs or (pair and all(path.suffix == ".csv" for path in outputs)):  # CSV has no room for a sentence
            _print(report)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def _report(values: Mapping[str, str], source: str, pair: tuple[int, int] | None) -> "Report":
    """Reads the runs and adds them up."""
    from kerasdl.tracking.reading import Reader

    reader = Reader(place(values))
    runs, objectives, notes = _read(reader, source, values[source])
    from kerasdl.report.seed_tables import Report
    from kerasdl.report.seeds import tabulate

    metric = _metric(values.get("metric"), list(objectives), runs)
    directions = {name: "maximize" if maximize else "minimize" for name, maximize in objectives.items()}
    maximize = is_maximized(metric, values.get("direction", directions.get(metric)), "direction")
    table = tabulate(runs, metric, maximize, reader.training_seconds)
    subject = "runs" if source == "runs" else f"{source} {values[source]}"
    return Report(subject, table, notes, _comparison(table, pair) if pair else None)


def _read(reader: "Reader", source: str, name: str) -> "tuple[Sequence[Run], Mapping[str, bool], list[str]]":
    """Returns the runs, the metrics that they are a sweep for (and whether more is better), and notes."""
    if source == "experiment":
        return reader.experiment(name), {}, []
    if source == "runs":
        return reader.runs([item.strip() for item in name.split(",") if item.strip()]), {}, []
    sweep = reader.sweep(name)
    older = f"{sweep.older} earlier {'sweep' if sweep.older == 1 else 'sweeps'} of this name left out."
    return sweep.runs, sweep.maximize, [older] if sweep.older else []


def _metric(asked: str | None, objectives: Sequence[str], runs: "Sequence[Run]") -> str:
    """Returns the metric to report: the one asked for, else the sweep's first, else the preferred one that most have.

    Raises:
        UserError: no finished run has it, or none is finished.
    """
    finished = [run for run in runs if run.state == "FINISHED"]
    if not finished:
        states = ", ".join(sorted({run.state for run in runs}))
        raise UserError(
            f"no run is finished yet: {f'{len(runs)} found ({states})' if runs else 'none found'}. "
            "Wait for one, or name others with sweep=, experiment= or runs=."
        )
    counts = Counter(name for run in finished for name in run.metrics)
    known = [name for name in counts if not name.startswith(("system/", "interval/"))]
    candidates = [asked] if asked else objectives[:1] or [name for name in PREFERRED if name in counts]
    if not candidates or candidates[0] not in counts:
        hint = did_you_mean(candidates[0], known) if candidates else f" Known: {', '.join(sorted(known)) or 'none'}."
        wanted = f"Received: '{candidates[0]}'." if candidates else "Name one."
        raise UserError(f"metric must be one that a finished run has. {wanted}{hint}")
    return max(candidates, key=lambda name: counts[name])  # of equal ones the first


def _comparison(table: "Table", pair: tuple[int, int]) -> "Comparison":
    from kerasdl.report.seeds import compare

    for number in pair:
        if number > len(table.rows):
            rows = f"rows 1 to {len(table.rows)}" if len(table.rows) > 1 else "one row"
            raise UserError(f"compare must name rows of the table, which has {rows}. Received: {number}.")
    one, other = (table.rows[number - 1] for number in pair)
    comparison = compare(one, other, table.maximize)
    if comparison is None:
        raise UserError(
            f"compare: rows {one.number} and {other.number} share no seed: {', '.join(one.values)} against "
            f"{', '.join(other.values)}. Run both with the same seeds."
        )
    return comparison


def _source(values: Mapping[str, str]) -> str:
    given = [key for key in SOURCES if key in values]
    if len(given) != 1:
        received = " ".join(f"{key}={values[key]}" for key in given) or "none of them"
        raise ConfigError(
            f"one of run=ID, sweep=NAME, experiment=NAME and runs=ID,ID must be given. Received: {received}."
        )
    return given[0]


def _pair(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and int(part) > 0]
    if len(parts) != 2 or len(set(numbers)) != 2:
        raise ConfigError(
            f"compare must be the numbers of two rows of the table, e.g. compare=1,2. Received: '{text}'."
        )
    return numbers[0], numbers[1]


def _outputs(arguments: Sequence[str]) -> list[Path]:
    """Returns the files to write, which may be named one by one or with commas; checked before anything is read."""
    named = [value for key, _, value in (item.partition("=") for item in arguments) if key == "output"]
    paths = [Path(name.strip()).expanduser() for value in named for name in value.split(",") if name.strip()]
    for path in paths:
        if path.suffix not in SUFFIXES:
            raise ConfigError(f"output must end with {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}. Received: '{path}'.")
        if not path.parent.is_dir():
            raise ConfigError(f"output must be in a directory that exists. Received: '{path}'. Create '{path.parent}'.")
        if path.is_dir():
            raise ConfigError(f"output must be a file. Received the directory '{path}'. Name a file in it.")
    return paths


def _write(report: "Report", path: Path) -> None:
    """Writes the form of the report that the suffix names, whole."""
    from kerasdl.files import written_whole
    from kerasdl.report import seed_tables

    try:
        with written_whole(path) as file:
            match path.suffix:
                case ".csv":
                    file.write(seed_tables.csv_text(report.table).encode())
                case ".md":
                    file.write(seed_tables.markdown(report).encode())
                case ".txt":
                    file.write(seed_tables.text(report).encode())
                case ".png":
                    seed_tables.figure(report).savefig(file, format="png")
    except OSError as error:
        raise UserError(f"output: '{path}' can't be written ({error.strerror or error}). Name another file.") from error
    print(f"wrote {path}")


def _print(report: "Report") -> None:
    """Prints the report: on a terminal in its width, elsewhere as wide as it is."""
    from rich.console import Console

    from kerasdl.report import seed_tables

    console = Console(highlight=False)
    if console.is_terminal:
        seed_tables.show(report, console)
    else:
        print(seed_tables.text(report), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kerasdl-report",
        description=paragraphs(
            "Writes a run's page (run=), or shows a table of many runs: a row for each configuration, with its mean "
            "over seeds.",
            "The printed command is composed and its hash compared with the run's. The page runs no script.",
            needs("report"),
        ),
        epilog="Examples: python -m kerasdl.report run=last\n"
        "          python -m kerasdl.report sweep=lr compare=1,2 output=lr.md,lr.png",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="KEY=VALUE",
        help=f"""which runs, one of:
  run=ID                 one run: an MLflow run id or a unique beginning of one, last, best (of experiment=, by
                         metric=), a sweep's or a run's name, or models:/NAME@ALIAS; one HTML file with all that
                         MLflow has of it, which needs no network
  sweep=NAME             the newest sweep of this name
  experiment=NAME        an MLflow experiment (tracking.experiment in training)
  runs=ID,ID,...         MLflow's run ids, or unique beginnings of them
and, if wanted:
  metric=NAME            default: the sweep's own, else the first that most runs have of
                         {", ".join(PREFERRED)}
  direction=WAY          maximize or minimize, for a metric whose name doesn't say which way is better
  compare=1,2            compares two rows of the table, over the seeds that both have
  output=FILE            {", ".join(SUFFIXES)}; several with commas; default: the terminal
                         with run=, .html; default: report-<first 8 of the run id>.html
  overwrite=true         with run=: replaces a file that is there
  log=false              with run=: doesn't keep the page with the run in MLflow, as report/report.html
  paths.output_dir=DIR   as given to training (default {Paths.output_dir})
  tracking.uri=URI       as given to training (default: the environment's MLFLOW_TRACKING_URI,
                         else the database in paths.output_dir)""",
    )
    return parser


if __name__ == "__main__":
    main()
