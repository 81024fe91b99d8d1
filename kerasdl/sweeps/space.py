"""What a sweep's command line spans: fixed overrides, swept keys, and keys that are swept only under a condition.

Hydra's own grammar says what is swept (`0.01,0.1`, `choice(...)`, `range(...)`, `interval(...)`, `glob(...)`,
`tag(log, ...)`); this module turns its parsed overrides into axes, a grid's points and Optuna's distributions.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasdl.errors import ConfigError
from kerasdl.seeds import derive

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = int | float | bool | str | None


@dataclass(frozen=True)
class Interval:
    """A range of numbers: both ends belong to it; `step` is None for a continuous one."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


@dataclass(frozen=True)
class Axis:
    """A swept key.

    Attributes:
        key: as it stands on the command line, e.g. `optimizer.learning_rate`, `model` or `+tracking.tags.kind`.
        choices: text of each value as Hydra reads it, with the value itself; empty for an interval.
        interval: the numbers between two; None for choices.
        when: the axis applies only if these keys have these values' texts.
    """

    key: str
    choices: Mapping[str, Value]
    interval: Interval | None = None
    when: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The key without Hydra's prefix for adding."""
        return self.key.lstrip("+")

    def describe(self) -> str:
        """Returns its values in words."""
        values = ", ".join(self.choices)
        if self.interval:
            step = f" in steps of {self.interval.step:g}" if self.interval.step else ""
            values = f"{self.interval.low:g} to {self.interval.high:g}{step}{', log' if self.interval.log else ''}"
        conditions = ", ".join(f"{key}={value}" for key, value in (self.when or {}).items())
        return f"{values} (when {conditions})" if conditions else values

    def distribution(self) -> "BaseDistribution":
        """Returns Optuna's distribution of the values."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.interval is None:
            return CategoricalDistribution(list(self.choices.values()))
        low, high, step, log = self.interval.low, self.interval.high, self.interval.step, self.interval.log
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log, step=int(step or 1))
        return FloatDistribution(low, high, log=log, step=step)

    def text(self, value: Value) -> str:
        """Returns a value as the command line takes it."""
        for text, choice in self.choices.items():
            if choice == value and type(choice) is type(value):
                return text
        return repr(value)


@dataclass(frozen=True)
class Space:
    """What a sweep spans.

    Attributes:
        fixed: overrides that all trials share, as typed.
        axes: swept keys; one that depends on others comes behind them.
    """

    fixed: tuple[str, ...]
    axes: tuple[Axis, ...]

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yields the values of each point of the grid, by axis key; the first axis varies slowest.

        Raises:
            ConfigError: an axis is an interval, which has no end of points.
        """
        for axis in self.axes:
            if axis.interval is not None and axis.interval.step is None:
                raise ConfigError(
                    f"{axis.name}: a grid has no interval. List values ({axis.name}=0.1,0.2), or let Optuna choose: "
                    "sweep=tpe sweep.trials=20."
                )
        yield from self._points(self.axes, {})

    def _points(self, axes: Sequence[Axis], chosen: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if not axes:
            yield dict(chosen)
            return
        axis, rest = axes[0], axes[1:]
        if not self.applies(axis, chosen):
            yield from self._points(rest, chosen)
            return
        for value in _values(axis):
            yield from self._points(rest, {**chosen, axis.key: value})

    def applies(self, axis: Axis, chosen: Mapping[str, Value]) -> bool:
        """Returns whether a key is swept, given the values of those before it."""
        texts = {other.name: other.text(chosen[other.key]) for other in self.axes if other.key in chosen}
        fixed = dict(override.partition("=")[::2] for override in self.fixed)
        return all({**fixed, **texts}.get(key) == text for key, text in (axis.when or {}).items())

    def overrides(self, chosen: Mapping[str, Value]) -> list[str]:
        """Returns a trial's whole list of overrides, for Hydra."""
        # By key: the same one may be swept differently under different conditions.
        swept = {axis.key: axis.text(chosen[axis.key]) for axis in reversed(self.axes) if axis.key in chosen}
        return [*self.fixed, *(f"{key}={text}" for key, text in reversed(swept.items()))]

    def shown(self, chosen: Mapping[str, Value]) -> dict[str, Value]:
        """Returns the values by the names that people know the keys by."""
        return {axis.name: chosen[axis.key] for axis in self.axes if axis.key in chosen}


def read_space(
    typed: Sequence[str], space: Mapping[str, Any], when: Mapping[str, Mapping], loader: Any, seed: int
) -> Space:
    """Reads a command line and the configuration's `sweep.space` and `sweep.when`; what is typed wins.

    Args:
        typed: overrides of the command line.
        space: key -> values in Hydra's grammar, or a fixed value.
        when: conditions such as `optimizer=sgd` or `optimizer=sgd,model=cnn` -> a space that applies under it.
        loader: Hydra's configuration loader, which knows what a `glob` finds.
        seed: of `shuffle(...)`.

    Raises:
        ConfigError: a condition that can't be read.
        OverrideParseException: Hydra's, for values that it can't read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create(config_loader=loader)
    parsed = parser.parse_overrides([*typed])
    names = {_name(override) for override in parsed}
    fixed: list[str] = []
    axes: list[Axis] = []
    configured = parser.parse_overrides([f"{key}={_as_text(value)}" for key, value in space.items()])
    random.seed(derive(seed, "shuffle"))  # Hydra's shuffle(...) draws from Python's own stream
    for override in [*(item for item in configured if _name(item) not in names), *parsed]:
        if override.is_sweep_override():
            axes.append(_axis(override))
        else:
            fixed.append(str(override.input_line))
    known = names | {axis.name for axis in axes}
    for condition, dependent in when.items():
        keys = _condition(condition)
        for override in parser.parse_overrides([f"{key}={_as_text(value)}" for key, value in dependent.items()]):
            if _name(override) in known:
                continue
            axes.append(_axis(override, keys))
    return Space(tuple(fixed), tuple(axes))


def _axis(override: Any, when: Mapping[str, str] | None = None) -> Axis:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return Axis(key, {override.get_value_string(): _plain(override.value())}, when=when)
    if override.is_interval_sweep():
        found = override.value()
        return Axis(key, {}, Interval(found.start, found.end, log="log" in found.tags), when)
    if override.is_range_sweep() and not override.value().shuffle:
        numbers = list(override.sweep_iterator())
        if len(numbers) > 1:
            step = override.value().step
            return Axis(key, {}, Interval(min(numbers), max(numbers), abs(step)), when)
    from hydra.core.override_parser.types import Override

    elements = list(override.sweep_iterator())
    if not elements:
        raise ConfigError(f"{override.input_line}: nothing matches. Look at what there is with --help.")
    return Axis(key, {Override._get_value_element_as_str(item): _plain(item) for item in elements}, when=when)


def _plain(value: Any) -> Value:
    """Returns a number, bool or None as it is, and anything else as its text without quotes."""
    from hydra.core.override_parser.types import Override, QuotedString

    if value is None or isinstance(value, bool | int | float):
        return value
    return value.text if isinstance(value, QuotedString) else Override._get_value_element_as_str(value)


def _values(axis: Axis) -> list[Value]:
    if axis.interval is None:
        return list(axis.choices.values())
    low, high, step = axis.interval.low, axis.interval.high, axis.interval.step
    assert step is not None
    count = round((high - low) / step) + 1
    # Rounded, because 0.1 + 2 * 0.1 is not what anybody would type.
    return [low + i * step if isinstance(step, int) else round(low + i * step, 12) for i in range(count)]


def _condition(text: str) -> dict[str, str]:
    pairs = [part.strip().partition("=") for part in text.split(",")]
    if not all(key and equals and value for key, equals, value in pairs):
        raise ConfigError(f"sweep.when: a condition must be key=value, or several with commas. Received: {text!r}.")
    return {key: value for key, _, value in pairs}


def _name(override: Any) -> str:
    return override.get_key_element().lstrip("+~")


def _as_text(value: Any) -> str:
    """Returns a value of a YAML file as the command line would take it."""
    from hydra.core.override_parser.types import Override

    return value if isinstance(value, str) else Override._get_value_element_as_str(value)


def names(axes: Sequence[Axis]) -> list[str]:
    """Returns the axes' keys without their groups, in order, each once."""
    return list(dict.fromkeys(itertools.chain(axis.name.rpartition(".")[2] for axis in axes)))
