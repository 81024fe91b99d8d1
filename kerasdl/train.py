"""`python -m kerasdl.train model=cnn data=mnist`: trains the network that the configuration describes."""

import sys

from omegaconf import DictConfig

from kerasdl import cli


def run(config: DictConfig) -> None:
    from kerasdl import experiment

    if experiment.run(config).status == "KILLED":
        sys.exit(130)  # as a shell expects after Ctrl-C


main = cli.hydra_main(run)

if __name__ == "__main__":
    main()
