"""`python -m kerasdl.evaluate run=last`: measures a trained network on a split, in numbers, tables and pictures.

On the split that the run was tested on, the numbers equal those at the end of training, to the bit on the same machine,
and the command says so. Examples are measured by `kerasdl.evaluate.measuring`, for every task.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl.commands import OVERWRITE, RUN_KEYS, Key, Values, choices, command, fresh_directory
from kerasdl.console import row
from kerasdl.errors import DataError, UserError
from kerasdl.files import shorten, written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasdl.data import Data, Split
    from kerasdl.evaluate.measuring import Evaluation
    from kerasdl.trained import Trained

SPLITS = ("test", "validation", "train")
KEYS = (
    *RUN_KEYS,
    Key("split", "the splits to measure, with commas between: test, validation, train", ("test",), choices(*SPLITS)),
    Key("output", "a directory to write the tables and pictures to as well"),
    OVERWRITE,
)
_SPLIT_KEYS = {"test": "data.test_split", "validation": "data.validation", "train": "data.train_split"}
DETAILS = (
    "A model that gives a label gets a table of its classes, calibration, and the most confident mistakes. Any other "
    "gets the metrics and pictures of its task. On the split that the run was tested on, the numbers equal those of "
    "the end of training, to the bit on the same machine; the command compares them."
)


def run(values: Values) -> None:
    """Evaluates each split, shows the results and keeps them."""
    output = fresh_directory(values["output"], values["overwrite"]) if values["output"] else None

    from kerasdl import trained

    with trained.opened(values, as_trained=True) as network:
        from kerasdl.evaluate.measuring import evaluate

        data = network.data(values["data"])
        is_own = _is_own_data(network, values["data"])
        splits = [_split(data, name) for name in values["split"]]
        row("run", network.id)
        row("data", data.describe())
        task = network.task(data.info.features)
        class_names = network.class_names if network.signature.gives("label") else ()
        for split in splits:
            with _progress(split) as advance:
                evaluation = evaluate(task, split, class_names, network.runtime.jit, advance)
            was_tested = is_own and split.name == "test" and not values["checkpoint"]
            differences = _differences(evaluation, network.metrics) if was_tested else {}
            folder = split.name if is_own else f"{data.info.name}/{split.name}"
            try:
                summary = _summary(network, data, split, evaluation, differences, values["data"])
                files = {"summary.json": summary, **evaluation.files()}
                if output:
                    _write(files, output / folder)
                _keep(network, evaluation, files, folder)
            finally:  # results are shown even if they can't be kept
                _show(split, evaluation, differences)
            if values["log"]:
                row("kept", f"{', '.join(files)} in the run's artifacts, folder evaluate/{folder}")
            if output:
                row("wrote", f"{len(files)} files into {shorten(output / folder)}")


def _split(data: "Data", name: str) -> "Split":
    """Returns a split of the data.

    Raises:
        DataError: there is no such split.
    """
    found = {split.name: split for split in (data.test, data.validation, data.train) if split is not None}
    if name not in found:
        raise DataError(
            f"split must be one that {data.info.name} has with these settings: {', '.join(found)}. Received: "
            f"'{name}'. Choose one of them, or define it with {_SPLIT_KEYS[name]}=..."
        )
    return found[name]


def _is_own_data(network: "Trained", overrides: Sequence[str]) -> bool:
    """Returns whether the data is still the run's own, wherever on this machine it is kept."""
    from kerasdl.config.identity import deciding
    from kerasdl.trained.other_data import with_data

    return deciding(with_data(network.config, overrides))["data"] == deciding(network.config)["data"]


@contextmanager
def _progress(split: "Split") -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on a terminal; gives the function that advances it by a number of examples."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(split.name, total=split.size)
        yield lambda examples: bar.advance(task, examples)


def _differences(evaluation: "Evaluation", recorded: Mapping[str, float]) -> dict[str, float]:
    """Returns the difference of each metric from the one that the run measured on its test split at its end."""
    return {
        name: value - recorded[f"test_{name}"]
        for name, value in evaluation.results.items()
        if f"test_{name}" in recorded
    }


def _show(split: "Split", evaluation: "Evaluation", differences: Mapping[str, float]) -> None:
    """Prints the results of a split."""
    row(split.name, evaluation.headline())
    if differences:
        row("", _compared(differences))
    evaluation.show()


def _compared(differences: Mapping[str, float]) -> str:
    """Returns in words how the metrics compare with those at the end of training."""
    changed = {name: difference for name, difference in differences.items() if difference}
    if not changed:
        return f"{', '.join(differences)}: equal to the bit to those at the end of training"
    listed = ", ".join(f"{name} by {difference:+.3g}" for name, difference in changed.items())
    return f"differs from the end of training, {listed} (another processor, number of threads or version?)"


def _summary(
    network: "Trained",
    data: "Data",
    split: "Split",
    evaluation: "Evaluation",
    differences: Mapping[str, float],
    overrides: Sequence[str],
) -> str:
    """Returns the results, and what they were measured on, as JSON."""
    info = data.info
    summary = {
        "run": network.id,
        "data": {"name": info.name, "version": info.version, "fingerprint": info.fingerprint, "changed": [*overrides]},
        "split": split.name,
        "examples": split.size,
        "metrics": evaluation.metrics,
        "equal_to_the_end_of_training": not any(differences.values()) if differences else None,
    }
    return json.dumps(summary, indent=2) + "\n"


def _keep(network: "Trained", evaluation: "Evaluation", files: "Mapping[str, str | Figure]", folder: str) -> None:
    """Keeps numbers, tables and pictures with the run."""
    network.results.metrics({f"evaluate/{folder}/{name}": value for name, value in evaluation.metrics.items()})
    for name, content in files.items():
        if isinstance(content, str):
            network.results.text(content, f"evaluate/{folder}/{name}")
        else:
            network.results.figure(content, f"evaluate/{folder}/{name}")


def _write(files: "Mapping[str, str | Figure]", folder: Path) -> None:
    """Writes each file whole; the folder is made if it isn't there.

    Raises:
        UserError: they can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with written_whole(folder / name) as file:
                if isinstance(content, str):
                    file.write(content.encode())
                else:
                    content.savefig(file, format="png")
    except OSError as error:
        raise UserError(
            f"output: '{folder}' can't be written ({error.strerror or error}). Name another directory."
        ) from error


main = command(
    "evaluate",
    "Measures a trained network on a split: its task's metrics and pictures; of classes also calibration and mistakes.",
    "python -m kerasdl.evaluate run=last split=test,validation",
    KEYS,
    run,
    details=DETAILS,
    takes_data=True,
)

if __name__ == "__main__":
    main(None)
