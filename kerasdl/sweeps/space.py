"""What a sweep searches: fixed overrides, swept keys, and keys that are swept only under a condition.

It gives a grid's points, Optuna's distributions, and each trial's overrides. `kerasdl.sweeps.grammar` reads it from the
command line.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kerasdl.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = int | float | bool | str | None


@dataclass(frozen=True)
class Interval:
    """A range of numbers, both ends included; `step` is None for a continuous one."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


@dataclass(frozen=True)
class Axis:
    """A swept key.

    Attributes:
        key: as typed on the command line, e.g. `optimizer.learning_rate`, `model` or `+tracking.tags.kind`.
        choices: each value by its text, which Hydra reads, in order; empty for a continuous interval.
        interval: the range of numbers; None for values that are no range.
        when: the axis applies only if these keys have these values.
    """

    key: str
    choices: Mapping[str, Value]
    interval: Interval | None = None
    when: Mapping[str, Value] | None = None

    @property
    def name(self) -> str:
        """The key without Hydra's prefix for adding."""
        return self.key.lstrip("+")

    def describe(self) -> str:
        """Returns its values for people to read, e.g. "0.0001 to 0.1, log"."""
        values = ", ".join(self.choices)
        if self.interval:
            step = f" in steps of {self.interval.step:g}" if self.interval.step else ""
            values = f"{self.interval.low:g} to {self.interval.high:g}{step}{', log' if self.interval.log else ''}"
        conditions = ", ".join(f"{key}={as_typed(value)}" for key, value in (self.when or {}).items())
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

    def rounded(self, value: Value) -> Value:
        """Returns a value that a sampler drew as a person would type it: 0.3, where 0.1 + 2 * 0.1 is a little more."""
        stepped = self.interval is not None and isinstance(self.interval.step, float)
        return round(value, 12) if stepped and isinstance(value, float) else value

    def text(self, value: Value) -> str:
        """Returns a value as typed, or as the command line would take it."""
        for text, choice in self.choices.items():
            if choice == value and type(choice) is type(value):
                return text
        return as_typed(value)


@dataclass(frozen=True)
class Space:
    """What a sweep searches.

    Attributes:
        fixed: overrides that all trials share, as typed.
        axes: swept keys; one that depends on others comes after them. A key may have several, each for one condition.
        given: the values of the fixed keys, by name.
    """

    fixed: tuple[str, ...]
    axes: tuple[Axis, ...]
    given: Mapping[str, Value] = field(default_factory=dict)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yields the values of each point of the grid, by axis key; the first axis varies slowest.

        Raises:
            ConfigError: an axis is a continuous interval.
        """
        for axis in self.axes:
            if not axis.choices:
                raise ConfigError(
                    f"{axis.name}: a grid can't have an interval. List values ({axis.name}=0.1,0.2), or let Optuna "
                    "choose: sweep=tpe sweep.trials=20."
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
        for value in axis.choices.values():
            yield from self._points(rest, {**chosen, axis.key: value})

    def samples(self) -> Iterator[dict[str, Value]]:
        """Yields a few points that together have every text of every axis; texts choose files and refer to keys."""
        yield self._point({})
        for axis in self.axes:
            for value in axis.choices.values():
                if isinstance(value, str):
                    yield self._point({**(axis.when or {}), axis.name: value})

    def _point(self, wanted: Mapping[str, Value]) -> dict[str, Value]:
        """Returns the point that has the wanted values, by name, and the first of every other axis."""
        chosen: dict[str, Value] = {}
        for axis in self.axes:
            if self.applies(axis, chosen):
                first = axis.interval.low if axis.interval else next(iter(axis.choices.values()))
                chosen[axis.key] = wanted.get(axis.name, first)
        return chosen

    def applies(self, axis: Axis, chosen: Mapping[str, Value]) -> bool:
        """Returns whether a value is to be chosen from an axis, given the values of the keys before it."""
        known = {**self.given, **self.by_name(chosen)}
        fits = all(key in known and known[key] == value for key, value in (axis.when or {}).items())
        return fits and axis.key not in chosen

    def axes_of(self, chosen: Mapping[str, Value]) -> dict[str, Axis]:
        """Returns the axis of each chosen value, by key; a key that is no longer swept has none."""
        found: dict[str, Axis] = {}
        before: dict[str, Value] = {}
        for axis in self.axes:
            if axis.key in chosen and self.applies(axis, before):
                found[axis.key], before[axis.key] = axis, chosen[axis.key]
        return found

    def overrides(self, chosen: Mapping[str, Value]) -> list[str]:
        """Returns all overrides of a trial, for Hydra."""
        axes = self.axes_of(chosen)
        texts = {key: axes[key].text(value) if key in axes else as_typed(value) for key, value in chosen.items()}
        return [*self.fixed, *(f"{key}={text}" for key, text in texts.items())]

    def by_name(self, chosen: Mapping[str, Value]) -> dict[str, Value]:
        """Returns chosen values by the names of their keys, without Hydra's prefix for adding."""
        return {key.lstrip("+"): value for key, value in chosen.items()}


def names(axes: Sequence[Axis]) -> list[str]:
    """Returns the axes' keys without their groups, in order, each once."""
    return list(dict.fromkeys(axis.name.rpartition(".")[2] for axis in axes))


def as_typed(value: Value) -> str:
    """Returns a value that nobody typed as the command line would take it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str) and not value.startswith(("[", "{")):
        return value if value.isidentifier() else repr(value)
    return str(value)
