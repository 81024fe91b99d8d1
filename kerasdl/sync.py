"""Sends to MLflow what runs could not send themselves: `python -m kerasdl.sync` or `kerasdl-sync`.

A run whose tracking server was unavailable, or that was killed, keeps on disk what MLflow doesn't have yet. This
command sends it, for all runs of an output directory. It may be repeated: MLflow receives everything once
(`kerasdl.tracking.backlog`).
"""

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from kerasdl.config.composition import key_values, place
from kerasdl.config.schema import Paths
from kerasdl.errors import ResumeError, TrackingError, UserError
from kerasdl.runs import RunFolder, folders, sweep_folders
from kerasdl.streams import entry_point

if TYPE_CHECKING:
    from kerasdl.tracking import Store

KEYS = ("paths.output_dir", "tracking.uri")


@entry_point()
def main(arguments: list[str] | None = None) -> None:
    """Parses the command line (`sys.argv[1:]` by default) and sends.

    Exit codes: 0 if everything was sent, 1 if not, 2 for a mistyped argument, 130 for Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        values = key_values(options.overrides, KEYS)
        config = place(values)
        left = _send_all(config)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Interrupted. The rest is kept on disk; run the same command again to send it.", file=sys.stderr)
        sys.exit(130)
    if left:
        sys.exit(1)


def _send_all(config: SimpleNamespace) -> int:
    """Sends what each run left unsent, and prints a line for each; returns the number of runs that failed."""
    from kerasdl import tracking
    from kerasdl.tracking.journal import has_unsent

    output_dir = Path(config.paths.output_dir).expanduser()
    if not output_dir.is_dir():
        raise TrackingError(f"paths.output_dir must be a directory with runs. Received: '{output_dir}'.")
    every = [*folders(output_dir), *sweep_folders(output_dir)]
    waiting = [folder for folder in every if has_unsent(folder.tracking)]
    if not waiting:
        print(f"Nothing to send: MLflow has everything from the runs in {output_dir}.")
    located = tracking.locate(config)
    left = 0
    for folder in reversed(waiting):  # the oldest first, in the order in which they would have arrived
        try:
            run, count = _send(folder, located)
            print(f"run {run}: {count} {'entry' if count == 1 else 'entries'} sent", flush=True)
        except (TrackingError, ResumeError) as error:
            print(f"Error: {error}", file=sys.stderr, flush=True)
            left += 1
    return left


def _send(folder: RunFolder, located: "Store") -> tuple[str, int]:
    """Sends what one run left unsent, with a progress bar on a terminal; returns its id and the number of entries."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from kerasdl.tracking.backlog import send_backlog

    try:
        folder.lock()
    except ResumeError as error:
        raise TrackingError(
            f"run {folder.id} is skipped: another process is using it, and sends its data itself."
        ) from error
    try:
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
        with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
            task = bar.add_task(f"run {folder.id}", total=None)
            count = send_backlog(folder, located, lambda sent, total: bar.update(task, completed=sent, total=total))
            return folder.id, count
    finally:
        folder.unlock()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kerasdl-sync",
        description="Sends to MLflow what runs could not send, because the server was unavailable or they were killed.",
        epilog="Example: python -m kerasdl.sync paths.output_dir=results",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help=f"paths.output_dir=DIR (default {Paths.output_dir}), as given to training; tracking.uri=URI only for a "
        "store whose address has a password, which runs don't keep",
    )
    return parser


if __name__ == "__main__":
    main()
