"""How a key of the configuration is declared: its default and the values that it may have, in one place.

`schema`, `optimizers` and `schedules` declare their keys with this, `checks` refuses other values, and `identity`
leaves out keys that earlier versions lack. OmegaConf checks the type, and ignores a field's metadata.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

ADDED, SWITCH, ALLOWED = "added", "switch", "allowed"  # in a field's metadata


@dataclass(frozen=True)
class Allowed:
    """The values that a key may have, beyond its type: one of `choices`, or a finite number in a range.

    The str of it says so: `>= 1`, `in [0, 1)`, `auto, true or false`, `auto or an integer >= 1`.

    Attributes:
        choices: values that are allowed in any case; without a range no others are.
        at_least, above: lower bound of the range, included or excluded.
        at_most, below: upper bound of the range, included or excluded.
        whole: a number must be an integer, where the type of the key doesn't say so.
    """

    choices: tuple[Any, ...] = ()
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    whole: bool = False

    def has(self, value: Any) -> bool:
        """Returns whether `value` is allowed."""
        if value in self.choices:
            return True
        if not is_number(value) or not math.isfinite(value) or (self.whole and not isinstance(value, int)):
            return False
        return (
            self._has_range()
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        *others, last = [*map(shown, self.choices), *([self._range()] if self._has_range() else [])]
        return f"{', '.join(others)} or {last}" if others else last

    def _has_range(self) -> bool:
        return any(bound is not None for bound in (self.at_least, self.above, self.at_most, self.below))

    def _range(self) -> str:
        low = self.above if self.at_least is None else self.at_least
        high = self.below if self.at_most is None else self.at_most
        if high is None:
            text = f"{'>' if self.at_least is None else '>='} {low}"
        else:
            text = f"in {'(' if self.at_least is None else '['}{low}, {high}{')' if self.at_most is None else ']'}"
        return f"an integer {text}" if self.whole else text


def key(default: Any, *, added: bool = False, switch: str | None = None, **allowed: Any) -> Any:
    """Declares a key with its default and the values that it may have; without any, its type alone says.

    Args:
        default: the key's default; for a node its class.
        added: earlier versions lack the key; see `added`.
        switch: see `added`.
        **allowed: as `Allowed` takes them; of a list each element has to fit.

    Example:
        >>> @dataclass
        ... class Trainer:
        ...     epochs: int = key(10, at_least=1)
        ...     precision: str = key("float32", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    """
    metadata = {ADDED: added, SWITCH: switch, ALLOWED: Allowed(**allowed) if allowed else None}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def added(default: Any, *, switch: str | None = None, **allowed: Any) -> Any:
    """Declares a key that earlier versions lack: it is no part of a run's identity while it has its default.

    Runs that were made without it so keep their identity. The default must therefore mean what happened before there
    was the key.

    Args:
        default: the key's default; for a node its class.
        switch: of a node, the key that switches it on: while that one has its default, the node's others mean nothing.
        **allowed: as for `key`.

    Example:
        >>> @dataclass
        ... class Trainer:
        ...     patience: int | None = added(None, at_least=1)
    """
    return key(default, added=True, switch=switch, **allowed)


def node_type(field: dataclasses.Field) -> type | None:
    """Returns the dataclass that types a key which is a node, or null; None for a key with a value."""
    kinds = (field.type, *get_args(field.type))
    return next((kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind)), None)


def may_be_null(field: dataclasses.Field) -> bool:
    """Returns whether the type of a key allows null."""
    return type(None) in get_args(field.type)


def is_number(value: Any) -> bool:
    """Returns whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """Returns a value as YAML writes it: `null`, `true`, `0.5`, `cnn`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def short_names(keys: Sequence[str]) -> list[str]:
    """Returns keys without their groups where that is unique; a target, and its source, is named by what it makes.

    Example:
        >>> short_names(["data.name", "optimizer._target_", "optimizer.learning_rate", "model._source_"])
        ['name', 'optimizer', 'learning_rate', 'model source']
    """
    paths = [key.removesuffix("._target_").replace("._source_", " source") for key in keys]
    last = [path.rpartition(".")[2] for path in paths]
    return [name if last.count(name) == 1 else path for name, path in zip(last, paths, strict=True)]
