"""What the programs of the benchmark share: what each measures of itself, and the examples that they train on."""

import json
import resource
import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Measurement:
    """What one process measured of itself.

    Attributes:
        first_step_at: time (seconds since 1970) at which the first training step was done.
        epoch_seconds: wall time of each epoch's training, evaluation left out.
        test_accuracy: after the last epoch, in [0, 1].
        peak_memory: largest resident set, in bytes.
        stalled_seconds: how long training waited for checkpoints.
        writing_seconds: how long a background thread wrote them.
    """

    first_step_at: float
    epoch_seconds: list[float]
    test_accuracy: float
    peak_memory: int
    stalled_seconds: float = 0.0
    writing_seconds: float = 0.0

    def report(self) -> None:
        """Prints it as the last line of the output, for `read`."""
        print(json.dumps(asdict(self)), flush=True)

    @staticmethod
    def read(output: str) -> "Measurement":
        """Returns the measurement that a process printed last."""
        return Measurement(**json.loads(output.strip().splitlines()[-1]))


def peak_memory() -> int:
    """Returns the largest resident set of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def mnist(split: str) -> tuple:
    """Returns images (n, 28, 28) uint8 and labels (n,) int64 of `train` or `t10k`, from the embedded files."""
    import gzip
    from pathlib import Path

    import numpy as np

    folder = Path(__file__).parent.parent / "data" / "embedded" / "mnist"
    with gzip.open(folder / f"{split}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{split}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    return images, labels
