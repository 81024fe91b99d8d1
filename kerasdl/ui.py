"""Opens the MLflow UI on the runs of this project: `python -m kerasdl.ui` or `kerasdl-ui`.

It takes the configuration keys that say where runs are kept, as training does, and serves until Ctrl-C. The server
itself is in `kerasdl.tracking.server`.
"""

import argparse
import sys

from kerasdl.config.composition import key_values, place
from kerasdl.config.schema import Paths
from kerasdl.errors import ConfigError, UserError
from kerasdl.streams import entry_point

KEYS = ("paths.output_dir", "tracking.uri", "host", "port")


@entry_point()
def main(arguments: list[str] | None = None) -> None:
    """Parses the command line (`sys.argv[1:]` by default) and serves the UI; exit code 1 or 2 for a user's mistake."""
    options = _parser().parse_intermixed_args(arguments)
    try:
        values = {"host": options.host, "port": options.port} | key_values(options.overrides, KEYS)
        config = place(values)
        from kerasdl import tracking
        from kerasdl.tracking.server import serve

        if values["host"] not in ("127.0.0.1", "localhost", "::1"):
            print(f"Anyone who can reach {values['host']} can read and delete these runs: there is no password.")
        serve(tracking.locate(config), values["host"], _port(values["port"]))
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)  # before the server runs; later, Ctrl-C ends it normally


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kerasdl-ui",
        description="Opens the MLflow UI on the runs of this project.",
        epilog="Example: python -m kerasdl.ui paths.output_dir=results --port 5001",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help=f"paths.output_dir=DIR (default {Paths.output_dir}) or tracking.uri=URI (default: the environment's "
        "MLFLOW_TRACKING_URI, else the database in paths.output_dir), as given to training",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine)")
    parser.add_argument("--port", default="5000", help="port to listen on, 0 for a free one (default 5000)")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ConfigError(f"port must be a number from 0 to 65535. Received: '{text}'. Try --port 5001.")
    return int(text)


if __name__ == "__main__":
    main()
