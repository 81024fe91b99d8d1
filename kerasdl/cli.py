"""What the entry points share: Hydra's command line, and one-line messages for a user's mistakes.

Configuration errors, `--help`, `--cfg job` and `--info` answer without TensorFlow, MLflow or TFDS being imported.
"""

import atexit
import errno
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl import runs
from kerasdl.config.composition import completed, conf_dir, register
from kerasdl.config.explain import as_config_error
from kerasdl.config.overrides import flags_first, for_hydra, groups
from kerasdl.errors import ConfigError, UserError
from kerasdl.streams import entry_point, lasting

INTERRUPTED = 130
_STOPPED = (INTERRUPTED, 143, 129)  # by Ctrl-C, SIGTERM, SIGHUP: 128 and the signal's number


class JobFailed(Exception):
    """A job of Hydra's own sweeper failed in another process, which has reported why.

    Attributes:
        code: its exit code.
    """

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


def hydra_main(run: Callable[[DictConfig], int | None]) -> Callable[[], None]:
    """Returns the `main` of an entry point whose job is `run(config)`, which returns an exit code or None for 0.

    Exit codes: 0 done; 2 a configuration that is refused; 1 any other failure; 130 Ctrl-C; 143 SIGTERM; 129 SIGHUP.
    Under `-m` a job's failure is reported and the other jobs run; the exit code is the largest of theirs.
    """
    codes: list[int] = []
    program = os.getpid()

    def job(config: DictConfig) -> None:
        with lasting():  # a launcher may run jobs in other processes, which have their own streams
            one(config)

    def one(config: DictConfig) -> None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        hydra_config = HydraConfig.get()
        # Unresolved: an interpolation that was typed refers to the experiment, not to Hydra's node.
        job_info: Any = OmegaConf.to_container(hydra_config.job, resolve=False)
        overrides: Any = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)
        if hydra_config.mode == RunMode.MULTIRUN:
            print(f"\njob {job_info['num'] + 1}: {job_info['override_dirname'].replace(',', ' ')}", flush=True)
        # Inside the job, so that Hydra adds no lines of its own to a failure.
        try:
            # Paths are relative to the user's working directory, whatever hydra.job.chdir says.
            os.chdir(hydra_config.runtime.cwd)
            with as_config_error():
                if hydra_config.mode == RunMode.RUN:
                    _check_single(config, overrides)
                config = runs.with_saved_configuration(completed(config), overrides, groups(conf_dir()))
            codes.append(run(config) or 0)
        except (KeyboardInterrupt, Exception) as error:
            codes.append(_report(error))
        if codes[-1] in _STOPPED:
            sys.exit(codes[-1])
        if codes[-1] and os.getpid() != program:
            raise JobFailed(codes[-1])  # from another process the exit code reaches the sweeper only as an error

    # Hydra names the job and its help after the module, which is `__main__` under `python -m`.
    job.__module__ = f"kerasdl.{Path(run.__code__.co_filename).stem}"
    job.codes = codes  # type: ignore[attr-defined]  # for kerasdl's sweeper

    @entry_point()
    def main() -> None:
        import hydra

        from kerasdl.training.interrupts import Interrupts

        second, Interrupts.second = Interrupts.second, signal.SIG_DFL
        # Python would search the million objects of TensorFlow and MLflow for garbage before it ends: 1.5 to 2.4 s.
        atexit.register(gc.freeze)
        register()
        codes.clear()
        full = os.environ.get("HYDRA_FULL_ERROR")
        os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise errors instead of printing them itself
        try:
            sys.argv[1:] = for_hydra(flags_first(sys.argv[1:]), conf_dir())
            with as_config_error():
                hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")(job)()
        except JobFailed as error:
            codes.append(error.code)
        except (KeyboardInterrupt, UserError, OSError) as error:
            if full == "1":
                raise
            codes.append(_report(error))
        finally:  # the next command of this process, and what it starts, must find the same environment
            Interrupts.second = second
            if full is None:
                del os.environ["HYDRA_FULL_ERROR"]
            else:
                os.environ["HYDRA_FULL_ERROR"] = full
        if any(codes):
            sys.exit(max(codes))

    return main


def _check_single(config: DictConfig, overrides: Sequence[str]) -> None:
    """Raises ConfigError if the overrides describe a sweep, but `-m`, which runs one, is missing."""
    typed = [override for override in overrides if override.startswith(("sweep=", "sweep."))]
    if typed or (config.sweep and config.sweep.space):
        what = typed[0] if typed else "this configuration has a sweep.space, which"
        raise ConfigError(f"{what} describes a sweep. Add -m to run it, or leave it out for a single run.")


def _report(error: BaseException) -> int:
    """Reports an error, in one line if it is a user's mistake, else with a traceback; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENOTDIR):
        error = UserError(
            f"{error.filename or 'a file'} can't be written: {error.strerror}. Free disk space, or choose another "
            "paths.output_dir, paths.cache_dir or data.data_dir."
        )
    if not isinstance(error, UserError):
        traceback.print_exception(error)
        return 1
    print(f"Error: {error}", file=sys.stderr)
    return error.exit_code
