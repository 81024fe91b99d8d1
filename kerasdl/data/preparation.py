"""Has a data set prepared on disk by TFDS: offline first, by one process at a time, and without TFDS's output.

TFDS alone takes minutes to notice that there is no network, fails when two processes prepare the same data set, and
confuses files of the same name (MNIST's and Fashion-MNIST's) from `manual_dir`. The checks, the lock and the folder for
extracted files prevent this.
"""

import contextlib
import io
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kerasdl.data import network
from kerasdl.errors import DataError
from kerasdl.files import locked

_EMBEDDED = Path(__file__).parent / "embedded"
_STALE_AFTER = 3600.0
_HEARTBEAT = 10.0


def data_dir(config: Any) -> Path:
    """Returns where TFDS's prepared data is: `data.data_dir`, else TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    chosen = config.data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser().absolute()


def check_files(builder: Any, title: str, config: Any) -> None:
    """Makes sure that the data is prepared, or that its files are here or can be downloaded.

    Args:
        builder: TFDS's.
        title: name and version, for messages.
        config: the `data` node of the configuration.

    Raises:
        DataError: files are missing and there is no network, or the data set's files must be downloaded by hand.
    """
    if builder.is_prepared():
        return
    directory, manual = data_dir(config), manual_dir(builder, config)
    if manual is not None and not manual.is_dir():
        raise DataError(f"data.manual_dir must be an existing directory. Received: {config.manual_dir!r}.")
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and manual is None and not (directory / "downloads" / "manual").is_dir():
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise DataError(
            f"The files of {title} must be downloaded by hand: {instructions} Then set data.manual_dir=DIR."
        )
    missing = _missing_files(builder, directory, manual)
    # The URLs are those of all configs, so with some files here the chosen config may be complete.
    maybe_enough = builder.BUILDER_CONFIGS and len(missing) < len(builder.url_infos)
    if missing and not maybe_enough and not network.reachable(list(missing)):
        names = ", ".join(missing.values())
        raise DataError(
            f"{title} isn't in {directory}, and there is no network to download it. Put "
            f"{names} into a directory DIR and set data.manual_dir=DIR, or connect to the network."
        )


def prepare(make: Callable[[], Any], title: str, config: Any, report: Callable[[str], None]) -> None:
    """Prepares the data on disk, once and by one process.

    Args:
        make: returns a new TFDS builder of the data set at each call: a builder only knows whether the data was
            prepared when it was created. The files have been checked by `check_files`.
        title: name and version, for messages.
        config: the `data` node of the configuration.
        report: receives lines of progress.

    Raises:
        DataError: a directory that can't be written, a file with a wrong checksum, or a failure of TFDS.
    """
    directory = data_dir(config)
    lock = directory / f".{title.replace('/', '-').replace(' ', '-')}.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with locked(lock, lambda: report(f"waiting for another process that prepares {title}")):
            builder = make()
            if not builder.is_prepared():
                _download_and_prepare(builder, directory, manual_dir(builder, config), title, report)
    except OSError as error:
        raise DataError(
            f"data.data_dir must be a writable directory, to prepare {title}. Received: {str(directory)!r} "
            f"({error.strerror}). Set data.data_dir or TFDS_DATA_DIR to another directory."
        ) from error
    builder = make()
    if not builder.is_prepared():
        raise DataError(
            f"{builder.data_path} has an incomplete data set. Remove that directory and run the command again."
        )


def manual_dir(builder: Any, config: Any) -> Path | None:
    """Returns where the original files are: `data.manual_dir`, else the copy inside the package, else None."""
    if config.manual_dir:
        return Path(config.manual_dir).expanduser().absolute()
    embedded = _EMBEDDED / builder.name
    return embedded if embedded.is_dir() else None


def _missing_files(builder: Any, directory: Path, manual: Path | None) -> dict[str, str]:
    """Returns {URL: file name} of the files that are neither in `manual` nor in TFDS's folder of downloads."""
    from tensorflow_datasets.core.download import resource

    folders = (directory / "downloads" / builder.name, directory / "downloads")
    missing = {}
    for url, info in (builder.url_infos or {}).items():
        names = resource.get_dl_fname(url, info.checksum), resource.get_dl_fname(url)
        cached = any(resource.is_locally_cached(folder / name) for folder in folders for name in names)
        by_hand = manual is not None and info.filename is not None and (manual / info.filename).exists()
        if not cached and not by_hand:
            missing[url] = info.filename or url.rsplit("/", 1)[-1]
    return missing


def _download_and_prepare(
    builder: Any, directory: Path, manual: Path | None, title: str, report: Callable[[str], None]
) -> None:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    data_path = Path(builder.data_path)
    _remove_stale(data_path, report)
    # TFDS names an extracted file after the archive only, so it would use MNIST's files for Fashion-MNIST.
    extracted = directory / "downloads" / "extracted" / title.replace("/", "-").replace(" ", "-")
    shutil.rmtree(extracted, ignore_errors=True)
    download_config = tfds.download.DownloadConfig(
        manual_dir=manual, extract_dir=extracted, try_download_gcs=False, verify_ssl=True
    )
    report(f"preparing {title} in {data_path} (once)")
    started = time.monotonic()
    with heartbeat(f"preparing {title}", report), _without_prints():
        try:
            builder.download_and_prepare(download_config=download_config)
        except PermissionError:
            raise
        except NonMatchingChecksumError as error:
            first = str(error).splitlines()[0]
            raise DataError(f"{first} Remove that file and download it again (data.manual_dir={manual}).") from error
        except Exception as error:
            reason = " ".join(str(error).split())[:500]
            raise DataError(f"TFDS couldn't prepare {title}: {type(error).__name__}: {reason}") from error
        finally:
            shutil.rmtree(extracted, ignore_errors=True)
    report(f"prepared {title} in {time.monotonic() - started:.0f} s")


def _remove_stale(data_path: Path, report: Callable[[str], None]) -> None:
    """Removes leftovers of killed preparations of this version: those that nothing was written to for an hour."""
    for leftover in data_path.parent.glob(f"incomplete.*_{data_path.name}"):
        newest = max(path.stat().st_mtime for path in (leftover, *leftover.glob("**/*")))
        if time.time() - newest > _STALE_AFTER:
            report(f"removing {leftover}, left by a preparation that was killed")
            shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def heartbeat(text: str, report: Callable[[str], None]) -> Iterator[None]:
    """Reports `text` and the seconds so far, every ten seconds while the block runs."""
    done = threading.Event()
    started = time.monotonic()

    def beat() -> None:
        while not done.wait(_HEARTBEAT):
            report(f"{text}: {time.monotonic() - started:.0f} s so far")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _OtherThreadsOnly(io.TextIOBase):
    """Drops the output of the thread that created it (TFDS's prints) and passes on that of others (our progress)."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._thread else self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def _without_prints() -> contextlib.AbstractContextManager[Any]:
    return contextlib.redirect_stdout(_OtherThreadsOnly(sys.stdout))
