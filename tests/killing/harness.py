"""Kills real runs with real signals, resumes them by the same command, and compares the end with a run left in peace.

    python tests/killing/harness.py --minutes 60 --seed 0 data=mnist model=cnn trainer.epochs=3

prints a line for each kill, and at the end how many were survived and how many weights differ. `survive` is what the
tests call. Which signal, at which point and when is drawn from a seed.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from driver import POINTS

ROOT = Path(__file__).resolve().parent.parent.parent
WALL_CLOCK = ("examples_per_second", "seconds", "memory_gb")
_DRIVER = Path(__file__).with_name("driver.py")
_LONGEST_SECONDS = 600.0


@dataclass
class Summary:
    """What came of it.

    Attributes:
        kills: the signals that a run was ended by, and where.
        weights: how many numbers the final states hold.
        differing: how many of them differ.
        differences: what else differs, in words.
    """

    kills: list[str] = field(default_factory=list)
    weights: int = 0
    differing: int = 0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        found = "; ".join(self.differences[:5]) or "none"
        return (
            f"survived {len(self.kills)} kills ({', '.join(self.kills)}); numbers of the final state that differ: "
            f"{self.differing} of {self.weights:,}; other differences: {found}"
        )


def survive(overrides: Sequence[str], kills: int, seed: int, folder: Path) -> Summary:
    """Trains once in peace and once killed `kills` times, and compares.

    Args:
        overrides: of `kerasdl.train`.
        kills: how often to kill; fewer if the run comes to its end before.
        seed: of what is drawn.
        folder: an empty one, to work in.

    Raises:
        RuntimeError: a run that was to be killed failed of itself.
    """
    draw, summary = random.Random(seed), Summary()
    train_in_peace(folder / "in_peace", overrides)
    overrides = [*overrides, "resume=auto"]
    for way in _ways(draw, kills):
        ended_by = _kill(folder / "killed", overrides, way, draw)
        if ended_by is None:
            break
        summary.kills.append(ended_by)
    else:
        if start(folder / "killed", overrides).wait(_LONGEST_SECONDS):
            raise RuntimeError(f"the last run failed:\n{_output(folder / 'killed')[-3000:]}")
    compare(folder / "in_peace", folder / "killed", summary)
    return summary


def train_in_peace(folder: Path, overrides: Sequence[str]) -> None:
    """Trains in this process, which saves the time of another one's start."""
    import kerasdl

    folder.mkdir(parents=True)
    with open(folder / "output", "w") as output, contextlib.redirect_stdout(output):
        kerasdl.run(kerasdl.compose([*overrides, f"paths.output_dir={folder / 'mlruns'}"]))


def _ways(draw: random.Random, count: int) -> list[str]:
    """Returns `count` ways to be killed, all different as long as there are enough."""
    first, last = "while_the_database_is_made", "the_end"  # there is one database to be made, and one end
    ways = [*(set(POINTS) - {first, last}), "SIGKILL", "SIGTERM", "SIGINT"]
    drawn: list[str] = []
    while len(drawn) < count - 2:
        drawn += draw.sample(sorted(ways), min(len(ways), count - 2 - len(drawn)))
    return [first, *drawn, last]


def _kill(folder: Path, overrides: Sequence[str], way: str, draw: random.Random) -> str | None:
    """Starts the run and kills it; returns how, or None if it came to its end before."""
    if way in POINTS:
        count = draw.randint(1, 4 if way in ("training", "journal", "while_the_database_is_made") else 2)
        process = start(folder, overrides, way, str(count))
        how, expected = f"{way} {count}", [-signal.SIGKILL]
        process.wait(_LONGEST_SECONDS)
    else:
        number, lines, delay = signal.Signals[way], draw.randint(1, 10), draw.uniform(0, 1)
        how, expected = f"{way} {delay:.2f} s behind line {lines}", [-number, 128 + number]
        begin = len(_output(folder).splitlines())
        process = start(folder, overrides)
        while process.poll() is None and len(_output(folder).splitlines()) < begin + lines:
            time.sleep(0.05)
        # Then at any instruction.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        process.send_signal(number)
        process.wait(_LONGEST_SECONDS)
    if process.returncode == 0 or _is_finished(folder):  # the signal may have come to an interpreter that was ending
        return None
    if process.returncode not in expected:
        raise RuntimeError(f"{how}: the run ended with {process.returncode}:\n{_output(folder)[-3000:]}")
    return how


def _is_finished(folder: Path) -> bool:
    from kerasdl.runs import FINISHED, folders

    return any(run.record.status == FINISHED for run in folders(folder / "mlruns"))


def start(folder: Path, overrides: Sequence[str], *fault: str) -> subprocess.Popen:
    """Starts a training in `folder`, with the driver's arguments if it is to be killed from within."""
    folder.mkdir(parents=True, exist_ok=True)
    program = [str(_DRIVER), *fault] if fault else ["-m", "kerasdl.train"]
    with open(folder / "output", "a") as output:
        return subprocess.Popen(
            [sys.executable, *program, *overrides],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=output, stderr=output,
        )  # fmt: skip


def _output(folder: Path) -> str:
    """Returns what the runs of a working directory have printed so far."""
    output = folder / "output"
    return output.read_text() if output.exists() else ""


def compare(one: Path, other: Path, summary: Summary) -> None:
    """Adds to `summary` what differs between the runs of two working directories: last and best state, and MLflow."""
    (arrays, values), (other_arrays, other_values) = states(one), states(other)
    summary.weights = sum(array.size for array in arrays.values())
    for name in sorted({*arrays, *other_arrays}):
        left, right = arrays.get(name), other_arrays.get(name)
        if left is None or right is None or (left.shape, left.dtype) != (right.shape, right.dtype):
            summary.differences.append(f"{name} has another shape or type")
        else:
            summary.differing += (
                int((left.view(np.uint8) != right.view(np.uint8)).sum()) if left.ndim else left != right
            )
    if values != other_values:
        summary.differences.append("progress, history or callbacks")
    histories, other_histories = metric_histories(one), metric_histories(other)
    for key in sorted({*histories, *other_histories}):
        if histories.get(key) != other_histories.get(key):
            summary.differences.append(f"MLflow's history of {key}")


def states(folder: Path) -> tuple[dict, dict]:
    """Returns arrays and values of the last and the best checkpoint of the only run, but for what the clock decides."""
    from kerasdl.runs import folders
    from kerasdl.training.checkpoint_file import read

    (run,) = folders(folder / "mlruns")
    assert run.record.status == "FINISHED"
    paths = {"last": max(run.checkpoints.glob("step-*.npz"))}
    paths["best"] = run.checkpoints / f"step-{read(paths['last']).values['best']['step']:010d}.npz"
    arrays, values = {}, {}
    for which, path in paths.items():
        snapshot = read(path)
        arrays |= {f"{which}/{name}": array for name, array in snapshot.arrays.items()}
        values[which] = snapshot.values
        for name in WALL_CLOCK:
            snapshot.values["epochs"].pop(name, None)
        for tally in ("epoch_tally", "interval_tally"):
            snapshot.values[tally].pop("seconds")
    return arrays, values


def metric_histories(folder: Path) -> dict[str, list]:
    """Returns all points of the only MLflow run, by metric, in order; of what depends on the clock only the steps."""
    import mlflow

    database = folder / "mlruns" / "mlflow.db"
    if not database.exists():
        return {}
    client = mlflow.MlflowClient(f"sqlite:///{database}")
    (run,) = client.search_runs([client.get_experiment_by_name("kerasdl").experiment_id])
    histories = {"status": [run.info.status], "models": [len(run.outputs.model_outputs)]}
    for key in run.data.metrics:
        if not key.startswith("system/"):
            points = sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, key))
            is_clock = key.endswith(WALL_CLOCK)
            histories[key] = [step if is_clock else (step, value) for step, value in points]
    return histories


def soak(overrides: Sequence[str], kills: int, seed: int, minutes: float, report: Callable[[str], None]) -> int:
    """Kills and compares, with one seed after the other, as long as `minutes`; returns how much differed in all."""
    end, runs, survived, differing, others = time.monotonic() + 60 * minutes, 0, 0, 0, 0
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            summary = survive(overrides, kills, seed + runs, Path(folder))
        report(f"seed {seed + runs}: {summary}")
        runs += 1
        survived += len(summary.kills)
        differing += summary.differing
        others += len(summary.differences)
    report(f"{runs} runs survived {survived} kills; {differing} weights differ, {others} other differences")
    return differing + others


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills runs and compares their ends with that of a run left in peace.")
    parser.add_argument("--minutes", type=float, default=60, help="begin no further run after so long (default: 60)")
    parser.add_argument("--kills", type=int, default=10, help="kills a run (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of signals, points and times (default: 0)")
    parser.add_argument("overrides", nargs="*", help="of kerasdl.train")
    options = parser.parse_args()
    return int(bool(soak(options.overrides, options.kills, options.seed, options.minutes, print)))


if __name__ == "__main__":
    sys.exit(main())
