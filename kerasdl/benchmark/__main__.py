"""`python -m kerasdl.benchmark`: kerasdl against plain Keras (and PyTorch, if installed) on the MNIST network.

Each round runs every program once, in turn, in a fresh process, so that a slow moment of the machine affects all alike.
The first epoch, which compiles, is left out of the throughput; the start is measured from starting the process to the
end of the first training step, on prepared data. Medians over the rounds, and what they are relative to plain Keras.
At the end of a round kerasdl's run is extended by an epoch, to measure how long a resume takes to its first step.
`--sweep` compares sweeps instead (`kerasdl.benchmark.sweeping`).
"""

import argparse
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from kerasdl import runs
from kerasdl.benchmark import sweeping
from kerasdl.benchmark.measurement import Measurement
from kerasdl.config.typed import hydra_value
from kerasdl.errors import UserError
from kerasdl.streams import entry_point

IMAGES = 60_000


@dataclass(frozen=True)
class Program:
    """One side of the comparison: its name in the table and the command that runs it."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One program in one round.

    Attributes:
        images_per_second: in all epochs but the first.
        start: seconds from starting the process to the end of its first training step.
        memory: peak, in bytes.
        accuracy: on the test split, in [0, 1].
        stalled: share of the training time in which training waited for checkpoints.
        writing: share of the training time in which a background thread wrote checkpoints.
    """

    images_per_second: float
    start: float
    memory: int
    accuracy: float
    stalled: float = 0.0
    writing: float = 0.0


def programs(epochs: int, output_dir: str) -> list[Program]:
    """Returns what is compared; plain Keras comes first, as what the others are relative to."""
    keras = Program("Keras fit over tf.data", ("kerasdl.benchmark.keras_fit", f"--epochs={epochs}"))
    overrides = (f"trainer.epochs={epochs}", "data.validation=0", f"paths.output_dir={hydra_value(output_dir)}")
    found = [keras, Program("kerasdl", ("kerasdl.benchmark.ours", *overrides))]
    if importlib.util.find_spec("torch"):
        for mode, name in (("memory", "PyTorch, tensors in memory"), ("loader", "PyTorch, DataLoader")):
            found.append(Program(name, ("kerasdl.benchmark.torch_mnist", f"--mode={mode}", f"--epochs={epochs}")))
    return found


def resumption(output_dir: str) -> Program:
    """Returns the program that extends the newest run of `output_dir` by an epoch."""
    newest = next(runs.folders(output_dir))
    epochs = newest.record.config["trainer"]["epochs"] + 1
    overrides = (f"resume={newest.id}", f"trainer.epochs={epochs}", f"paths.output_dir={hydra_value(output_dir)}")
    return Program("kerasdl, resumed", ("kerasdl.benchmark.ours", *overrides))


def measure(program: Program) -> Sample:
    """Runs `program` once in a process of its own."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("MLFLOW_TRACKING_URI", None)  # runs of the benchmark belong to no experiment
    start = time.time()
    process = subprocess.run(
        [sys.executable, "-m", *program.command], env=environment, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise UserError(f"{program.name} failed ({' '.join(program.command)}): {process.stderr.strip()[-600:]}")
    got = Measurement.read(process.stdout)
    warm = got.epoch_seconds[1:]
    training = sum(got.epoch_seconds)
    return Sample(
        images_per_second=IMAGES * len(warm) / sum(warm),
        start=got.first_step_at - start,
        memory=got.peak_memory,
        accuracy=got.test_accuracy,
        stalled=got.stalled_seconds / training,
        writing=got.writing_seconds / training,
    )


def table(samples: dict[str, list[Sample]]) -> str:
    """Returns the results as a Markdown table; the first program is what the others are relative to."""
    columns = ("images/s (median, min to max)", "ratio", "start (s)", "ratio", "peak memory", "ratio", "test accuracy")
    lines = [f"| program | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    base = next(iter(samples.values()))
    for name, own in samples.items():
        speeds = [sample.images_per_second for sample in own]
        cells = [
            f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
            _ratio(own, base, "images_per_second"),
            f"{_median(own, 'start'):.1f}",
            _ratio(own, base, "start"),
            f"{_median(own, 'memory') / 1e6:,.0f} MB",
            _ratio(own, base, "memory"),
            f"{100 * _median(own, 'accuracy'):.2f} %",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def checkpoint_lines(fresh: Sequence[Sample], resumed: Sequence[Sample]) -> str:
    """Returns two lines: what checkpoints cost, and how the start of a resumed run compares with that of a new one."""
    return (
        f"With a checkpoint per epoch, training waited for {100 * _median(fresh, 'stalled'):.2f} % of its time; "
        f"a background thread wrote for {100 * _median(fresh, 'writing'):.2f} %.\n"
        f"Resume: first step after {_median(resumed, 'start'):.1f} s, {_ratio(resumed, fresh, 'start')} of a new run's."
    )


def _median(samples: Sequence[Sample], field: str) -> float:
    return statistics.median(getattr(sample, field) for sample in samples)


def _ratio(own: Sequence[Sample], base: Sequence[Sample], field: str) -> str:
    return f"{_median(own, field) / _median(base, field):.2f}"


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}"


@entry_point()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m kerasdl.benchmark", description=__doc__.split("\n\n")[1])
    parser.add_argument("--rounds", type=int, default=3, help="how often every program runs (default: 3)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each, the first not counted (default: 3)")
    parser.add_argument("--sweep", action="store_true", help="compare sweeps of short trials instead")
    parser.add_argument("--trials", type=int, default=20, help="with --sweep: trials of each sweep (default: 20)")
    parser.add_argument("--jobs", type=int, default=2, help="with --sweep: trials at once (default: 2)")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.epochs < 2 or options.trials < 1 or options.jobs < 1:
        parser.error("--rounds, --trials and --jobs must be >= 1 and --epochs >= 2")
    try:
        _compare(options)
    except UserError as error:
        sys.exit(f"Error: {error}")


def _compare(options: argparse.Namespace) -> None:
    if options.sweep:
        results = sweeping.compare(options.rounds, options.trials, options.jobs)
        print(f"\n{_machine()}\n\n{results}")
        return
    samples: dict[str, list[Sample]] = {}
    resumed: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="kerasdl-benchmark-") as folder:
        compared = programs(options.epochs, folder)
        print("warming up: preparing the data", flush=True)
        measure(programs(2, folder)[1])
        for number in range(options.rounds):
            for program in compared:
                sample = measure(program)
                samples.setdefault(program.name, []).append(sample)
                speed = f"{sample.images_per_second:,.0f} images/s, first step after {sample.start:.1f} s"
                print(f"round {number + 1}/{options.rounds}  {program.name}: {speed}", flush=True)
            resumed.append(measure(resumption(folder)))
    print(f"\n{_machine()}\n")
    print(table(samples))
    print(f"\n{checkpoint_lines(samples['kerasdl'], resumed)}")


if __name__ == "__main__":
    main()
