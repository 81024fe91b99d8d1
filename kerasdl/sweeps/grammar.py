"""Reads what a sweep searches, from the command line and the configuration's `sweep.space` and `sweep.when`.

Both use Hydra's grammar: `0.01,0.1`, `choice(...)`, `range(...)`, `interval(...)`, `glob(...)`.
"""

import random
from collections.abc import Container, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from kerasdl.errors import ConfigError
from kerasdl.seeds import derive
from kerasdl.sweeps.space import Axis, Interval, Space, Value, as_typed


def read_space(
    typed: Sequence[str], space: Mapping[str, Any], when: Mapping[str, Mapping], loader: Any, seed: int
) -> Space:
    """Reads a command line and the configuration's `sweep.space` and `sweep.when`.

    The command line takes precedence over the configuration, and of what is typed twice the last.

    Args:
        typed: overrides of the command line.
        space: key -> values in Hydra's grammar, or a fixed value.
        when: conditions such as `optimizer=sgd` or `optimizer=sgd,model=cnn` -> a space that applies under it. Where
            several hold for one key, the first applies.
        loader: Hydra's configuration loader, which resolves `glob`.
        seed: of `shuffle(...)`.

    Raises:
        ConfigError: a condition can't be read or nothing decides it, or a range is empty.
        OverrideParseException: Hydra's, for values that it can't read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create(config_loader=loader)
    typed_overrides = _last(parser.parse_overrides([*typed]))
    names = {_name(override) for override in typed_overrides}
    configured = [item for item in parser.parse_overrides(_as_overrides(space)) if _name(item) not in names]
    overrides = [*configured, *typed_overrides]
    names |= {_name(override) for override in configured}
    state = random.getstate()
    random.seed(derive(seed, "shuffle"))  # Hydra's shuffle(...) draws from Python's own stream
    try:
        axes = [_axis(override) for override in overrides if override.is_sweep_override()]
        dependent = [
            _axis(override, condition)
            for condition, node in ((_condition(text, parser), node) for text, node in when.items())
            for override in parser.parse_overrides(_as_overrides(node))
            if _name(override) not in names
        ]
    finally:
        random.setstate(state)
    fixed = [override for override in overrides if not override.is_sweep_override()]
    given = {_name(override): _plain(override.value()) for override in fixed if not override.is_delete()}
    ordered = _ordered(dependent, {*given, *(axis.name for axis in axes)})
    return Space(tuple(str(override.input_line) for override in fixed), (*axes, *ordered), given)


def _last(overrides: Sequence[Any]) -> list[Any]:
    """Leaves out what is typed again further right, as Hydra does: `seed=0,1 seed=5` doesn't sweep."""
    last = {_name(override): override for override in overrides}
    swept = {_name(override) for override in overrides if override.is_sweep_override()}
    return [item for item in overrides if _name(item) not in swept or last[_name(item)] is item]


def _ordered(axes: Sequence[Axis], known: Container[str]) -> list[Axis]:
    """Returns conditional axes in an order in which each follows those that its condition depends on."""
    waiting, ordered = [*axes], []
    while waiting:
        pending = {axis.name for axis in waiting}
        ready = [axis for axis in waiting if pending.isdisjoint(axis.when or ())]
        if not ready:
            raise ConfigError(
                f"sweep.when: {', '.join(sorted(pending))} depend on each other. Remove one of the conditions."
            )
        ordered += ready
        waiting = [axis for axis in waiting if axis not in ready]
    names = {axis.name for axis in axes}
    for axis in axes:
        for key, value in (axis.when or {}).items():
            if key not in known and key not in names:
                raise ConfigError(
                    f"sweep.when: {axis.name} depends on {key}, which is neither swept nor given. Sweep it, or give it "
                    f"a value: {key}={as_typed(value)}."
                )
    return ordered


def _axis(override: Any, when: Mapping[str, Value] | None = None) -> Axis:
    from hydra.core.override_parser.types import Override

    key = override.get_key_element()
    if not override.is_sweep_override():
        return Axis(key, {override.get_value_string(): _plain(override.value())}, when=when)
    if override.is_interval_sweep():
        found = override.value()
        return Axis(key, {}, _interval(override, found.start, found.end), when)
    elements = list(override.sweep_iterator())
    if not elements:
        raise ConfigError(f"{override.input_line}: nothing matches. --help lists what there is.")
    choices = {Override._get_value_element_as_str(item): _plain(item) for item in elements}
    if override.is_range_sweep() and len(elements) > 1:
        return Axis(key, choices, _interval(override, min(elements), max(elements), abs(override.value().step)), when)
    return Axis(key, choices, when=when)


def _interval(override: Any, low: float, high: float, step: float | None = None) -> Interval:
    log = "log" in override.value().tags
    if not low <= high:
        raise ConfigError(f"{override.input_line}: an interval must start with its lower end.")
    if log and not low > 0:
        raise ConfigError(f"{override.input_line}: a logarithmic interval must have ends > 0. Received: {low:g}.")
    if log and step not in (None, 1):
        raise ConfigError(f"{override.input_line}: a logarithmic range must have step 1. Received: {step:g}.")
    return Interval(low, high, step, log)


def _plain(value: Any) -> Value:
    """Returns a number, bool, None or text as it is, and a list or dict as it would be typed."""
    from hydra.core.override_parser.types import Override, QuotedString

    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.text if isinstance(value, QuotedString) else Override._get_value_element_as_str(value)


def _condition(text: str, parser: Any) -> dict[str, Value]:
    from hydra.errors import HydraException

    try:
        parsed = parser.parse_overrides([part.strip() for part in text.split(",")])
        pairs = {_name(override): override.value() for override in parsed if not override.is_sweep_override()}
        if len(pairs) == len(parsed) and "" not in pairs and "" not in pairs.values():
            return {key: _plain(value) for key, value in pairs.items()}
    except HydraException:
        pass  # refused below, in one clear line
    raise ConfigError(
        f"sweep.when: a condition must be key=value, or several of them separated by commas. Received: {text!r}."
    )


def _as_overrides(space: Mapping[str, Any]) -> list[str]:
    """Returns the overrides that would be typed for a mapping of a YAML file."""
    from hydra.core.override_parser.types import Override

    texts = []
    for key, value in space.items():
        plain: Any = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        texts.append(f"{key}={plain if isinstance(plain, str) else Override._get_value_element_as_str(plain)}")
    return texts


def _name(override: Any) -> str:
    return override.get_key_element().lstrip("+~")
