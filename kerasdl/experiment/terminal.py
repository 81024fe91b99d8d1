"""What the terminal shows of an experiment: what is about to happen, a progress bar, a line per epoch, and the result.

Where the output is not a terminal (a log file, a pipe), there is no progress bar, only the lines.
"""

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kerasdl.config import typed
from kerasdl.config.schema import Paths
from kerasdl.console import duration, row
from kerasdl.experiment.parts import Experiment, Result
from kerasdl.files import shorten

_HIDDEN = {"learning_rate", "examples_per_second", "seconds"}


class Display:
    """Shows one experiment, as a listener of its training.

    Args:
        epochs: number of epochs.
        steps_per_epoch: training steps per epoch.
    """

    def __init__(self, epochs: int, steps_per_epoch: int):
        self._epochs = epochs
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[metrics]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task(self._label(0), total=epochs * steps_per_epoch, metrics="compiling ...")

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, step: int) -> None:
        """Training begins, or resumes, at `step`."""
        self._progress.update(self._bar, completed=step)

    def on_call(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        speed = f"{metrics['examples_per_second']:,.0f} examples/s"
        text = f"{_metrics(metrics)}  {speed}"
        self._progress.update(self._bar, completed=step, description=self._label(epoch), metrics=text)

    def on_interval(self, step: int, metrics: Mapping[str, float], learning_rates: object) -> None:
        """The bar already shows more than an interval's metrics."""

    def on_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        self._console.print(f"{' ' * len(self._label(0))}  {_metrics(metrics)}  at step {step}")

    def on_rollback(self, step: int, attempt: int) -> None:
        self._progress.update(self._bar, completed=step)

    def on_epoch(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        speed = f"{metrics['examples_per_second']:,.0f} examples/s  {metrics['seconds']:.1f} s"
        self._console.print(f"{self._label(epoch)}  {_metrics(metrics)}  {speed}")
        sys.stdout.flush()

    def _label(self, epoch: int) -> str:
        width = len(str(self._epochs))
        return f"epoch {epoch + 1:>{width}}/{self._epochs}"


def announce(experiment: Experiment) -> None:
    """Shows what is about to be trained: data, model, optimizer, device, and where results go."""
    config = experiment.config
    style = f" ({config.model.style})" if "style" in config.model else ""
    names = ", ".join(network.name for network in experiment.task.networks.values())
    precision = f"{config.trainer.precision}{', XLA' if experiment.runtime.jit else ''}"
    _rows(
        {
            "data": experiment.data.describe(),
            "model": f"{names}{style}, {experiment.parameters:,} parameters",
            "optimizer": f"{_optimizers(experiment)}batch {config.data.batch_size}",
            "device": f"{experiment.runtime.name}, {precision}",
            "results": experiment.tracker.describe(),
            "state": shorten(experiment.folder.path),
        }
    )


def announce_resumption(experiment: Experiment, step: int) -> None:
    """Says where training resumes."""
    total = experiment.config.trainer.epochs * experiment.data.train.steps
    _rows({"resumes": f"run {experiment.folder.id}: {step:,} of {total:,} steps are done"})


def announce_weights_put_back(metrics: Mapping[str, float]) -> None:
    """Shows the metrics of the weights that a callback restored at the end of training."""
    row("ends with", f"{_metrics(metrics)}  (a callback restored these weights)")


def conclude(experiment: Experiment, result: Result) -> None:
    """Shows the result, and the command that resumes a run that was stopped or opens MLflow on one that ended."""
    rows = {}
    if result.interrupted:
        cause = {"SIGINT": "Ctrl-C", "PRUNED": "the sweep's pruner"}.get(result.interrupted, result.interrupted)
        rows["stopped"] = f"by {cause} after step {result.steps:,}, in epoch {len(result.history.get('loss', [])) + 1}"
        rows["resume"] = _resume_command(experiment, result.resume_id)
    elif experiment.data.test is not None:
        rows["test"] = _test_row(result.metrics, experiment.data.test.size)
    rows["weights"] = f"{result.weights} (fingerprint of their bits)"
    rows["time"] = duration(result.seconds)
    if result.run_id:
        rows["run"] = result.run_id
        rows["browse"] = experiment.tracker.ui_command()
    _rows(rows)


def _resume_command(experiment: Experiment, run: str) -> str:
    output_dir = experiment.config.paths.output_dir
    place = {} if output_dir == Paths.output_dir else {"paths.output_dir": output_dir}
    return typed.command("train", {"resume": run, **place})


def _rows(rows: Mapping[str, str]) -> None:
    for name, text in rows.items():
        row(name, text)


def _optimizers(experiment: Experiment) -> str:
    """Returns each optimizer with its learning rate, by role where roles have their own, and a separator."""
    node, schedule = experiment.config.optimizer, _name(experiment.config.schedule).lower()
    own = {role: node[role] for role in experiment.task.optimizers if "_target_" in (node.get(role) or {})}
    described = {}
    for role, optimizer in experiment.task.optimizers.items():
        settings = own.get(role, node)
        momentum = f", momentum {settings.momentum:g}" if "momentum" in settings else ""
        rate = f"learning rate {float(optimizer.learning_rate):g} ({schedule})"
        described[role] = f"{_name(settings)}, {rate}{momentum}"
    if not own:
        return f"{next(iter(described.values()))}, "
    return "".join(f"{role}: {text}; " for role, text in described.items())


def _name(node: Any) -> str:
    return str(node._target_).rpartition(".")[2]


def _test_row(metrics: Mapping[str, float], size: int) -> str:
    """Returns loss, accuracy as `9 841/10000` and per cent, and further metrics."""
    parts = [f"loss {metrics['test_loss']:.4f}"]
    if "test_accuracy" in metrics:
        accuracy = metrics["test_accuracy"]
        hits = f"{round(accuracy * size):,}".replace(",", " ")
        parts.append(f"accuracy {hits}/{size} ({100 * accuracy:.2f} %)")
    names = [name for name in metrics if name.startswith("test_") and name not in ("test_loss", "test_accuracy")]
    return ", ".join([*parts, *(f"{name[5:]} {metrics[name]:.4f}" for name in names)])


def _metrics(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items() if name not in _HIDDEN)
