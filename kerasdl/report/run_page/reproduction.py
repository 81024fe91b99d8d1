"""The command that repeats a run: what was typed, if that still gives the run's configuration, else one made from it.

Whether a command gives the configuration is never guessed: it is composed, and its hash compared with the run's. The
user's own code is compared, too, and the result names what is missing or differs.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kerasdl.config.composition import compose, conf_dir
from kerasdl.config.identity import config_hash, deciding, differences, source_digests
from kerasdl.config.source import TARGETS, own_targets
from kerasdl.config.typed import hydra_value, with_words
from kerasdl.errors import UserError

_PROGRAMS = (
    ["python", "-m", "kerasdl.train"],
    ["python", "-m", "kerasdl", "train"],
    ["kerasdl-train"],
    ["kerasdl", "train"],
)
_CHOICES = ("model", "data", "task", "optimizer", "schedule", "trainer")
# Where a run is kept and how it was found: no part of the experiment.
_NOT_SHOWN = ("paths", "sweep", "resume", "tracking.uri")
_ABSENT = object()
_MOST_LISTED = 5


@dataclass(frozen=True)
class Reproduction:
    """How a run's configuration comes about.

    Attributes:
        command: composes to the run's configuration hash; None if none was found.
        as_typed: whether it is what was typed when the run began.
        defaults: for each key of the configuration (`optimizer.learning_rate`) that differs from what the chosen files
            say: their value, or "" where they have none.
        note: sentences on what else the command needs, how it differs from the run, or why there is none.
    """

    command: str | None
    as_typed: bool
    defaults: Mapping[str, str]
    note: str = ""


def reproduce(
    config: DictConfig, expected_hash: str, typed: str = "", sources: Mapping[str, str] | None = None
) -> Reproduction:
    """Finds the command that composes to a configuration.

    Args:
        config: the run's, resolved.
        expected_hash: the run's `kerasdl.config_hash`.
        typed: the command line that the run was started with, as far as it is known. It may come from anywhere: it is
            read as overrides of the configuration, and never executed.
        sources: digests of the source of the user's own code that the run began with, by the keys of their nodes.
    """
    sources = sources or {}
    choices = _choices(config)
    base = _composed(choices)
    changes = list(_changes(_tree(base), _tree(config))) if base is not None else []
    known = {key: "" if default is _ABSENT else _shown(default) for key, default, _ in changes}
    if (overrides := typed_overrides(typed)) is not None and _gives(overrides, expected_hash, sources):
        return Reproduction(with_words("train", overrides), True, known, _about_code(config, sources))
    if base is not None:
        decides = _flat(deciding(base)) | _flat(deciding(config))
        deciding_changes = [item for item in changes if any(f"{key}.".startswith(f"{item[0]}.") for key in decides)]
        overrides = [*choices, *(_override(*change) for change in deciding_changes)]
        if _gives(overrides, expected_hash, sources):
            return Reproduction(with_words("train", overrides), False, known, _about_code(config, sources))
        return Reproduction(None, False, known, _what_differs(config, overrides))
    return Reproduction(None, False, known)


def _about_code(config: DictConfig, sources: Mapping[str, str]) -> str:
    """Returns what a command needs of the user's own code, and whether the code that is here is that of the run."""
    named = {where.removesuffix("._target_"): str(target) for where, target in own_targets(deciding(config))}
    if not named:
        return ""
    packages = ",".join(sorted({target.partition(".")[0] for target in named.values()}))
    sentences = [f"It needs {TARGETS}={packages} in the environment."]
    try:
        now = source_digests(config)
    except UserError as error:
        return " ".join([*sentences, f"That code isn't on the machine that wrote this page: {error}"])
    if changed := [named[key] for key in now if key in sources and sources[key] != now[key]]:
        sentences.append(
            f"The source of {', '.join(changed)} on the machine that wrote this page isn't that of the run: with it "
            "the command gives another result."
        )
    if unknown := [named[key] for key in now if key not in sources]:
        sentences.append(f"The run doesn't know what the source of {', '.join(unknown)} was.")
    return " ".join(sentences)


def _what_differs(config: DictConfig, overrides: Sequence[str]) -> str:
    """Returns why the nearest command that was found doesn't repeat the run."""
    try:
        nearest = compose(overrides)
    except UserError as error:
        return f"The nearest that was found is refused: {error}"
    found = list(differences(deciding(config), deciding(nearest)))
    if not found:
        return "The run's configuration hash is that of another version of kerasdl."
    phrases = [f"{key} is {_shown(other)}, not {_shown(value)}" for key, value, other in found[:_MOST_LISTED]]
    more = f"; and {len(found) - _MOST_LISTED} more" if len(found) > _MOST_LISTED else ""
    return f"The nearest that was found differs: {'; '.join(phrases)}{more}."


def _gives(overrides: Sequence[str], expected_hash: str, sources: Mapping[str, str]) -> bool:
    config = _composed(overrides)
    try:
        return config is not None and config_hash(config, sources) == expected_hash
    except OmegaConfBaseException:  # an interpolation that nothing here answers
        return False


def _composed(overrides: Sequence[str]) -> DictConfig | None:
    """Returns what the overrides give with this machine's files, or None if they don't fit them."""
    try:
        return compose(overrides)
    except UserError:
        return None


def typed_overrides(command: str) -> list[str] | None:
    """Returns the overrides of a command line of kerasdl.train; None if it is another, a sweep, or has flags."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if len(words) > 1 and Path(words[0]).name.startswith("python"):
        if words[1] == "-m":
            words[0] = "python"
        else:  # Python runs a console script by its path
            del words[0]
    if words:
        words[0] = Path(words[0]).name
    for start in _PROGRAMS:
        if words[: len(start)] == start:
            overrides = words[len(start) :]
            if any(word.startswith("-") or "=" not in word for word in overrides):
                return None
            # A run is repeated from its beginning, whatever it continued.
            return [word for word in overrides if not word.startswith(("resume=", "hydra"))]
    return None


def _choices(config: DictConfig) -> list[str]:
    """Returns a choice from each group, `model=cnn`: of its files the one that fits the configuration best."""
    choices = []
    for group in _CHOICES:
        files = sorted((conf_dir() / group).glob("*.yaml"))
        if len(files) == 1:  # no choice
            continue
        node, fits = _flat(OmegaConf.to_container(config[group])), {}
        for file in files:
            values = _flat(_loaded(file))
            if values.get("_target_", node.get("_target_")) == node.get("_target_"):
                fits[file.stem] = sum(node.get(key, _ABSENT) == value for key, value in values.items())
        if fits:
            choices.append(f"{group}={max(fits, key=lambda name: fits[name])}")
    callbacks = OmegaConf.to_container(config.callbacks)
    chosen = [
        file.stem for file in sorted((conf_dir() / "callbacks").glob("*.yaml")) if _is_in(_loaded(file), callbacks)
    ]
    return [*choices, f"callbacks=[{','.join(chosen)}]"] if chosen else choices


def _loaded(file: Path) -> Any:
    """Returns a file of conf/ without what it includes."""
    values = OmegaConf.to_container(OmegaConf.load(file))
    return {key: value for key, value in values.items() if key != "defaults"} if isinstance(values, dict) else {}


def _is_in(values: Any, callbacks: Any) -> bool:
    """Returns whether a configuration's callbacks have all those of a file."""
    return bool(values) and all(
        isinstance(callbacks.get(name), dict) and callbacks[name].get("_target_") == value.get("_target_")
        for name, value in values.items()
    )


def _changes(base: Mapping[str, Any], config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields (key, value in base, value in config) where they differ; `_ABSENT` for a key that one hasn't."""
    for key in {**config, **base}:
        old, new, path = base.get(key, _ABSENT), config.get(key, _ABSENT), f"{prefix}{key}"
        if path in _NOT_SHOWN:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{path}.")
        elif old != new or type(old) is not type(new):
            yield path, old, new


def _override(key: str, old: Any, new: Any) -> str:
    if new is _ABSENT:
        return f"~{key}"
    return f"{'+' if old is _ABSENT else ''}{key}={hydra_value(new)}"


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Returns nested dicts with keys joined by dots; lists and empty dicts are values."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _tree(config: DictConfig) -> dict[str, Any]:
    tree: Any = OmegaConf.to_container(config, resolve=True)
    return tree


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
