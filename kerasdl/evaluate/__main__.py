"""`python -m kerasdl.evaluate run=last`: measures a trained network on a split, in numbers, tables and pictures.

On the split that the run was tested on, the numbers equal those at the end of training, to the bit on the same machine,
and the command says so. Examples are measured by `kerasdl.evaluate.measuring`.
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
_SHOWN = ("loss", "accuracy")
_MOST_CLASSES_IN_TABLE = 20
_WORST_CLASSES = 3
_MEANS = {"precision": "precision", "recall": "recall", "F1": "f1"}


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
        for split in splits:
            with _progress(split) as advance:
                evaluation = evaluate(task, split, network.class_names, network.runtime.jit, advance)
            was_tested = is_own and split.name == "test" and not values["checkpoint"]
            differences = _differences(evaluation, network.metrics) if was_tested else {}
            folder = split.name if is_own else f"{data.info.name}/{split.name}"
            try:
                files = _files(evaluation, _summary(network, data, split, evaluation, differences, values["data"]))
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
    from rich.console import Console
    from rich.padding import Padding

    from kerasdl.evaluate import classes
    from kerasdl.evaluate.measuring import TOP

    metrics, mistakes = evaluation.metrics, evaluation.mistakes
    further = [f"{name} {evaluation.results[name]:.4f}" for name in evaluation.results if name not in _SHOWN]
    hits = f"{split.size - mistakes.total:,}".replace(",", " ")
    accuracy = f"accuracy {hits}/{split.size} ({_per_cent(metrics['accuracy'])})"
    row(split.name, ", ".join((f"loss {metrics['loss']:.4f}", accuracy, *further)))
    if differences:
        row("", _compared(differences))
    tops = (k for k in TOP if k <= len(evaluation.class_names))
    row("top k", ", ".join(f"{k}: {_per_cent(metrics[f'top_{k}_accuracy'])}" for k in tops))
    means = (f"{name} {_per_cent(metrics[key])}" for name, key in _MEANS.items())
    row("classes", f"{', '.join(means)} (means over {len(evaluation.class_names):,} classes)")
    calibration = evaluation.calibration
    row(
        "confidence",
        f"{_per_cent(calibration.mean_confidence)} on average, calibration error {_per_cent(metrics['ece'])} (ECE), at "
        f"most {_per_cent(metrics['mce'])} (MCE); NLL {metrics['nll']:.4f}, Brier score {metrics['brier_score']:.4f}",
    )
    lowest = classes.worst(evaluation.scores, _WORST_CLASSES)
    row("worst", ", ".join(f"{each.name} (F1 {_per_cent(each.f1)})" for each in lowest))
    if mistakes.found:
        first = mistakes.found[0]
        predicted, true = (evaluation.class_names[label] for label in (first.predicted, first.label))
        example = f"{predicted} for {true}, with {_per_cent(first.confidence)} (example {first.index})"
        row("mistakes", f"{mistakes.total:,}; the most confident: {example}")
    else:
        row("mistakes", "none, so there is no mistakes.png")
    if len(evaluation.scores) <= _MOST_CLASSES_IN_TABLE:
        table = Padding(classes.table(evaluation.scores, metrics), (0, 0, 0, 11), expand=False)
        Console(highlight=False).print("", table, "", sep="\n")


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


def _files(evaluation: "Evaluation", summary: str) -> "dict[str, str | Figure]":
    """Returns the tables and pictures by the names of their files."""
    from kerasdl.evaluate import classes
    from kerasdl.evaluate.calibration import reliability_diagram
    from kerasdl.evaluate.measuring import predictions_csv
    from kerasdl.evaluate.mistakes import contact_sheet
    from kerasdl.figures.confusion import confusion_matrix

    names, examples, mistakes = evaluation.class_names, evaluation.examples, evaluation.mistakes
    files: dict[str, str | Figure] = {
        "summary.json": summary,
        "classes.csv": classes.csv_text(evaluation.scores),
        "predictions.csv": predictions_csv(examples, names),
        "confusion_matrix.png": confusion_matrix(evaluation.confusion, names),
        "reliability.png": reliability_diagram(evaluation.calibration),
    }
    if mistakes.found:
        files["mistakes.png"] = contact_sheet(mistakes.found, mistakes.total, names)
    return files


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


def _per_cent(share: float) -> str:
    return f"{100 * share:.2f} %"


main = command(
    "evaluate",
    "Measures a trained network on a split: metrics, classes, calibration, and the most confident mistakes.",
    "python -m kerasdl.evaluate run=last split=test,validation",
    KEYS,
    run,
    takes_data=True,
)

if __name__ == "__main__":
    main(None)
