"""`python -m kerasdl.train model=cnn data=mnist`: trains the network that the configuration describes."""

from omegaconf import DictConfig

from kerasdl import cli


def run(config: DictConfig) -> int:
    """Returns the exit code: 0, 130 after Ctrl-C as shells expect, 1 if MLflow couldn't take everything."""
    from kerasdl import experiment

    result = experiment.run(config)
    if result.status == "KILLED":
        return 130
    return 1 if result.tracking_error else 0


main = cli.hydra_main(run)

if __name__ == "__main__":
    main()
