"""Types of the `schedule` group; the schedules themselves are in `kerasdl.training.schedules`."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class Schedule:
    """What every schedule takes: a linear warm-up, and the unit in which lengths are given."""

    _target_: str = MISSING
    unit: str = "epochs"
    warmup: float = 0.0


@dataclass
class Constant(Schedule):
    _target_: str = "kerasdl.training.schedules.Constant"


@dataclass
class Step(Schedule):
    _target_: str = "kerasdl.training.schedules.Step"
    every: float = 10.0
    factor: float = 0.1


@dataclass
class Exponential(Schedule):
    _target_: str = "kerasdl.training.schedules.Exponential"
    every: float = 1.0
    factor: float = 0.95


@dataclass
class Cosine(Schedule):
    _target_: str = "kerasdl.training.schedules.Cosine"
    length: float | None = None
    final: float = 0.0
