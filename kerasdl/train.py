"""`python -m kerasdl.train model=cnn data=mnist`: trains the network that the configuration describes."""

import signal

from omegaconf import DictConfig

from kerasdl import cli


def run(config: DictConfig) -> int:
    """Returns the exit code: 0; 1 if something couldn't be saved; 128 plus the number of a signal, as shells expect."""
    from kerasdl import experiment

    result = experiment.run(config)
    if result.interrupted:
        return 128 + signal.Signals[result.interrupted]
    return 1 if result.problems else 0


main = cli.hydra_main(run)

if __name__ == "__main__":
    main()
