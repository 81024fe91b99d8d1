"""Keys of the configuration, as people are shown them."""

from collections.abc import Sequence


def short_names(keys: Sequence[str]) -> list[str]:
    """Returns keys without their groups where that is unique; a target, and its source, is named by what it makes.

    Example:
        >>> short_names(["data.name", "optimizer._target_", "optimizer.learning_rate", "model._source_"])
        ['name', 'optimizer', 'learning_rate', 'model source']
    """
    paths = [key.removesuffix("._target_").replace("._source_", " source") for key in keys]
    last = [path.rpartition(".")[2] for path in paths]
    return [name if last.count(name) == 1 else path for name, path in zip(last, paths, strict=True)]
