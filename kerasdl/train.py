"""`python -m kerasdl.train model=cnn data=mnist`: trains the network that the configuration describes."""

from omegaconf import DictConfig

from kerasdl import cli


def run(config: DictConfig) -> None:
    from kerasdl import experiment

    experiment.run(config)


main = cli.hydra_main(run)

if __name__ == "__main__":
    main()
