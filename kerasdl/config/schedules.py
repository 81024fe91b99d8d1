"""Types of the `schedule` group; the schedules themselves are in `kerasdl.training.schedules`."""

from dataclasses import dataclass

from omegaconf import MISSING

from kerasdl.config.keys import key


@dataclass
class Schedule:
    """What every schedule takes: a linear warm-up, and the unit in which lengths are given."""

    _target_: str = MISSING
    unit: str = key("epochs", choices=("steps", "epochs"))
    warmup: float = key(0.0, at_least=0)


@dataclass
class Constant(Schedule):
    _target_: str = "kerasdl.schedules.constant"


@dataclass
class Step(Schedule):
    _target_: str = "kerasdl.schedules.step"
    every: float = key(10.0, above=0)
    factor: float = key(0.1, above=0, at_most=1)


@dataclass
class Exponential(Schedule):
    _target_: str = "kerasdl.schedules.exponential"
    every: float = key(1.0, above=0)
    factor: float = key(0.95, above=0, at_most=1)


@dataclass
class Cosine(Schedule):
    _target_: str = "kerasdl.schedules.cosine"
    length: float | None = key(None, above=0)
    final: float = key(0.0, at_least=0, at_most=1)
