"""`python -m kerasdl.train` itself, with all that it does, and a line of JSON behind it."""

from omegaconf import DictConfig

from kerasdl import cli
from kerasdl.benchmarks import Measurement, peak_memory


def run(config: DictConfig) -> None:
    from kerasdl import experiment

    result = experiment.run(config)
    Measurement(
        first_step_at=result.first_step_at,
        epoch_seconds=result.history["seconds"],
        test_accuracy=result.metrics["test_accuracy"],
        peak_memory=peak_memory(),
    ).report()


main = cli.hydra_main(run)

if __name__ == "__main__":
    main()
