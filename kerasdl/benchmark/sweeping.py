"""The same short trials, swept in three ways: Hydra's own launcher, its joblib launcher, and kerasdl's sweeper.

Each way is one command in a fresh process, with the same overrides and the same number of trials; what is measured is
its whole time, from starting the process to its end, start-up included. The ways take turns over the rounds.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time

from kerasdl.config.typed import hydra_value
from kerasdl.errors import UserError

# A small network on scikit-learn's digits, two epochs, everything logged as by default.
_OVERRIDES = ("data=digits", "model=image_classifier", "trainer.epochs=2")


def ways(jobs: int) -> dict[str, tuple[str, ...]]:
    """Returns what is compared: name to further overrides; stock Hydra comes first."""
    found: dict[str, tuple[str, ...]] = {"Hydra's sweeper, basic launcher": ("hydra/sweeper=basic",)}
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher"):
        own = ("hydra/sweeper=basic", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}")
        found[f"Hydra's sweeper, joblib launcher, {jobs} jobs"] = own
    found[f"kerasdl's sweeper, {jobs} jobs"] = (f"sweep.jobs={jobs}",)
    return found


def measure(trials: int, overrides: tuple[str, ...]) -> float:
    """Returns trials per minute of one sweep, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="kerasdl-benchmark-") as folder:
        seeds = f"seed={','.join(str(seed) for seed in range(trials))}"
        command = [
            sys.executable,
            "-m",
            "kerasdl.train",
            "-m",
            *_OVERRIDES,
            f"paths.output_dir={hydra_value(folder)}",
            seeds,
        ]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("MLFLOW_TRACKING_URI", None)  # runs of the benchmark belong to no experiment
        began = time.perf_counter()
        ended = subprocess.run([*command, *overrides], env=environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise UserError(f"{' '.join(command)} failed: {ended.stderr.strip()[-600:]}")
        return 60 * trials / (time.perf_counter() - began)


def table(measured: dict[str, list[float]]) -> str:
    """Returns trials per minute as a Markdown table, each way relative to the others."""
    ours = statistics.median(list(measured.values())[-1])
    lines = ["| sweep | trials/min (median, min to max) | kerasdl is |", "|---|---:|---:|"]
    for name, speeds in measured.items():
        middle = statistics.median(speeds)
        lines.append(f"| {name} | {middle:.1f} ({min(speeds):.1f} to {max(speeds):.1f}) | {ours / middle:.2f}x |")
    return "\n".join(lines)


def compare(rounds: int, trials: int, jobs: int) -> str:
    """Runs each way once a round, and returns the table."""
    print("warming up: preparing the data", flush=True)
    measure(1, ())
    measured: dict[str, list[float]] = {}
    for number in range(rounds):
        for name, overrides in ways(jobs).items():
            speed = measure(trials, overrides)
            measured.setdefault(name, []).append(speed)
            print(f"round {number + 1}/{rounds}  {name}: {speed:.1f} trials/min", flush=True)
    return table(measured)
