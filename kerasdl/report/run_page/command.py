"""`python -m kerasdl.report run=...`: finds the run, writes its page, and keeps the page with the run."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from kerasdl.commands import OVERWRITE, RUN_KEYS, Key, fresh_file, parse
from kerasdl.config.composition import place
from kerasdl.console import warn
from kerasdl.errors import ConfigError, UserError
from kerasdl.files import written_whole

# A page shows nothing of a checkpoint.
KEYS = (
    *(key for key in RUN_KEYS if key.name != "checkpoint"),
    Key("output", "the HTML file (default: report-<first 8 of the run id>.html)"),
    OVERWRITE,
)
ARTIFACT = "report/report.html"


def report_run(arguments: Sequence[str]) -> None:
    """Writes the page of the run that KEY=VALUE arguments name, and says where it is.

    Raises:
        UserError: there is no such run, the file is there already, or it can't be written.
    """
    others = [argument for argument in arguments if argument.partition("=")[0] in ("sweep", "runs", "compare")]
    if others:
        raise ConfigError(f"run=... makes the page of one run. Received also: {' '.join(others)}. Leave that out.")
    values = parse(arguments, KEYS)
    output = values["output"]
    if output:
        if Path(output).suffix != ".html":
            raise ConfigError(f"output must end with .html where run= is given. Received: '{output}'.")
        fresh_file(output, values["overwrite"])

    from kerasdl.tracking import lookup
    from kerasdl.tracking.failures import sync_command
    from kerasdl.tracking.history import read_history

    found = lookup.find(place(values), values["run"], values["experiment"], values["metric"], values["direction"])
    path = fresh_file(output or f"report-{found.run.id[:8]}.html", values["overwrite"])
    from kerasdl.report.run_page.document import html
    from kerasdl.report.run_page.gathering import gather

    with tempfile.TemporaryDirectory(prefix="kerasdl-report-") as folder:
        gathered = gather(found, read_history(found), Path(folder))
        page = html(gathered)
    try:
        with written_whole(path) as file:
            file.write(page.encode())
    except OSError as error:
        raise UserError(f"output: '{path}' can't be written ({error.strerror or error}). Name another file.") from error
    print(f"wrote {output or path.name}")
    if not gathered.config_yaml:
        warn(
            f"run {found.run.id} has no config.yaml among its artifacts, so the page lacks its configuration, and "
            f"perhaps more. If it waits to be sent, send it: {sync_command(found.store)}"
        )
    if values["log"]:
        found.artifacts.text(page, ARTIFACT)
