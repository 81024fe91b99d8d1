"""Public names of what kerasdl itself offers to `_target_`, apart from where the code lies, and their former names.

A public name is `kerasdl.<room>.<name>`, e.g. `kerasdl.models.cnn` or `kerasdl.tasks.classification`. It stays the same
when code moves: `_ROOMS` alone says where the code lies. A new model or task is found by its file, without a line here.

Configurations of earlier versions have other names. They are read under the public ones, wherever a configuration
comes from: a saved run or sweep, the command line, a user's own YAML. A configuration's identity is computed with
the former names, so that it doesn't change (`kerasdl.config.identity.config_hash`).
"""

import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kerasdl.config.source import targets

# The module and what is called in it, by room; of kerasdl.models.image_classifier {name} is image_classifier, and
# {Name} ImageClassifier.
_ROOMS = {
    "kerasdl.models": "kerasdl.models.{name}:build",
    "kerasdl.data": "kerasdl.data.{name}:{Name}",
    "kerasdl.tasks": "kerasdl.tasks.{name}:{Name}",
    "kerasdl.schedules": "kerasdl.training.schedules:{Name}",
    "kerasdl.callbacks": "kerasdl.training.callbacks:{Name}",
}
# Public names whose code lies elsewhere than their room says.
_ELSEWHERE: dict[str, str] = {}

# Former names and the public ones. A name stays here for good: runs and sweeps have it, and identities are made of it.
RENAMES = {
    "kerasdl.models.cnn.build": "kerasdl.models.cnn",
    "kerasdl.models.image_classifier.build": "kerasdl.models.image_classifier",
    "kerasdl.models.layers.build": "kerasdl.models.layers",
    "kerasdl.training.classification.Classification": "kerasdl.tasks.classification",
    "kerasdl.training.schedules.Constant": "kerasdl.schedules.constant",
    "kerasdl.training.schedules.Step": "kerasdl.schedules.step",
    "kerasdl.training.schedules.Exponential": "kerasdl.schedules.exponential",
    "kerasdl.training.schedules.Cosine": "kerasdl.schedules.cosine",
    "kerasdl.training.callbacks.BestModel": "kerasdl.callbacks.best_model",
}
_FORMER = {public: former for former, public in RENAMES.items()}


def is_in_room(target: str, room: str) -> bool:
    """Returns whether a target is a name of what may be in a room, e.g. `kerasdl.models` or `keras.layers`.

    Below a room of kerasdl's there are public names only, so nothing that a module happens to import is reached.
    """
    name = target.removeprefix(f"{room}.")
    return name != target and (room not in _ROOMS or re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None)


def is_public(target: str) -> bool:
    """Returns whether a target is below one of the rooms of kerasdl, where only public names are allowed."""
    return target.rpartition(".")[0] in _ROOMS


def location(target: str) -> tuple[str, str]:
    """Returns the module that a target is in, and its name there.

    Example:
        >>> location("kerasdl.models.cnn"), location("keras.optimizers.SGD")
        (('kerasdl.models.cnn', 'build'), ('keras.optimizers', 'SGD'))
    """
    room, _, name = target.rpartition(".")
    if not is_public(target):
        return room, name
    camel_case = "".join(part.capitalize() for part in name.split("_"))
    place = _ELSEWHERE.get(target) or _ROOMS[room].format(name=name, Name=camel_case)
    module, _, attribute = place.partition(":")
    return module, attribute


def public_name(target: Any) -> Any:
    """Returns the public name of what has a former one; anything else as it is."""
    return RENAMES.get(target, target) if isinstance(target, str) else target


def with_public_names(tree: Any) -> Any:
    """Returns a copy of plain containers in which each `_target_` has its public name."""
    return _renamed(tree, RENAMES)


def with_former_names(tree: Any) -> Any:
    """Returns a copy of plain containers in which each `_target_` has the name that the first versions gave it."""
    return _renamed(tree, _FORMER)


def rename_targets(config: DictConfig) -> None:
    """Gives each `_target_` of a configuration its public name, in place; interpolations stay what they are."""
    for key, target in targets(OmegaConf.to_container(config)):
        if public_name(target) != target:
            OmegaConf.update(config, key, public_name(target))


def _renamed(tree: Any, names: Mapping[str, str]) -> Any:
    if isinstance(tree, list):
        return [_renamed(item, names) for item in tree]
    if not isinstance(tree, Mapping):
        return tree
    return {
        key: names.get(item, item) if key == "_target_" and isinstance(item, str) else _renamed(item, names)
        for key, item in tree.items()
    }
