"""What the entry points share: Hydra's command line, and one clear line for a user's mistake.

Configuration errors, `--help`, `--cfg job` and `--info` answer without TensorFlow, MLflow or TFDS being imported.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig

from kerasdl.config.composition import conf_dir, quoted, register
from kerasdl.errors import ConfigError, UserError


def hydra_main(run: Callable[[DictConfig], Any]) -> Callable[[], None]:
    """Returns the `main` of an entry point whose job is `run(config)`.

    Exit codes: 0 done; 2 a configuration that is refused; 1 any other failure; 130 interrupted.
    """

    def job(config: DictConfig) -> None:
        # Inside the job, so that Hydra adds no lines of its own to a failure.
        try:
            run(config)
        except (KeyboardInterrupt, Exception) as error:
            _exit(error)

    # Hydra names the job, and its help, after the module, which is `__main__` under `python -m`.
    job.__module__ = f"kerasdl.{Path(run.__code__.co_filename).stem}"

    def main() -> None:
        import hydra

        from kerasdl.config.explain import as_config_error

        register()
        sys.argv[1:] = quoted(sys.argv[1:])
        full = os.environ.get("HYDRA_FULL_ERROR")
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on instead of printing them itself
        try:
            with as_config_error():
                hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")(job)()
        except ConfigError as error:
            if full == "1":
                raise
            _exit(error)
        except (KeyboardInterrupt, OSError) as error:
            _exit(error)

    return main


def _exit(error: BaseException) -> NoReturn:
    """Says what went wrong and ends the process: a line for the user's mistakes, a traceback for ours."""
    if isinstance(error, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
    if isinstance(error, BrokenPipeError):  # `... --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENOTDIR):
        error = UserError(
            f"{error.filename or 'a file'} can't be written: {error.strerror}. Choose another paths.output_dir."
        )
    if not isinstance(error, UserError):
        traceback.print_exception(error)
        sys.exit(1)
    print(f"Error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
