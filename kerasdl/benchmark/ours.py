"""`python -m kerasdl.train` itself, with all that it does, and a line of JSON at its end."""

import functools
import time
from typing import Any

from omegaconf import DictConfig

from kerasdl import cli
from kerasdl.benchmark.measurement import Measurement, peak_memory


def run(config: DictConfig) -> None:
    from kerasdl import experiment
    from kerasdl.training import checkpoints
    from kerasdl.training.state import TrainingState

    stalled = [_timed(TrainingState, "capture"), _timed(checkpoints.Checkpoints, "save")]
    writing = _timed(checkpoints, "write")
    result = experiment.run(config)
    Measurement(
        first_step_at=result.first_step_at,
        epoch_seconds=result.history["seconds"],
        test_accuracy=result.metrics["test_accuracy"],
        peak_memory=peak_memory(),
        stalled_seconds=sum(sum(seconds) for seconds in stalled),
        writing_seconds=sum(writing),
    ).report()


def _timed(owner: Any, name: str) -> list[float]:
    """Returns a list to which from now on every call of `owner.name` adds its seconds."""
    original, seconds = getattr(owner, name), []

    @functools.wraps(original)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - start)

    setattr(owner, name, timed)
    return seconds


main = cli.hydra_main(run)

if __name__ == "__main__":
    main()
