"""Types of the `optimizer` group: one dataclass a Keras optimizer, with Keras's own argument names.

The values are Keras's defaults, except where conf/optimizer/ says otherwise; a test compares both with the installed
Keras, so that an argument which Keras renames is noticed.
"""

from dataclasses import dataclass

from omegaconf import MISSING

from kerasdl.config.keys import key


@dataclass
class Optimizer:
    """What every Keras optimizer takes."""

    _target_: str = MISSING
    learning_rate: float = key(0.001, above=0)
    weight_decay: float | None = key(None, at_least=0)
    clipnorm: float | None = key(None, above=0)
    global_clipnorm: float | None = key(None, above=0)
    clipvalue: float | None = key(None, above=0)
    use_ema: bool = False
    ema_momentum: float = key(0.99, at_least=0, at_most=1)
    ema_overwrite_frequency: int | None = key(None, at_least=1)
    gradient_accumulation_steps: int | None = key(None, at_least=2)


@dataclass
class SGD(Optimizer):
    _target_: str = "keras.optimizers.SGD"
    learning_rate: float = key(0.01, above=0)
    momentum: float = key(0.0, at_least=0, below=1)
    nesterov: bool = False


@dataclass
class RMSprop(Optimizer):
    _target_: str = "keras.optimizers.RMSprop"
    rho: float = key(0.9, at_least=0, below=1)
    momentum: float = key(0.0, at_least=0, below=1)
    epsilon: float = 1e-7
    centered: bool = False


@dataclass
class Adam(Optimizer):
    _target_: str = "keras.optimizers.Adam"
    beta_1: float = key(0.9, at_least=0, below=1)
    beta_2: float = key(0.999, at_least=0, below=1)
    epsilon: float = 1e-7
    amsgrad: bool = False


@dataclass
class AdamW(Optimizer):
    _target_: str = "keras.optimizers.AdamW"
    weight_decay: float | None = key(0.004, at_least=0)
    beta_1: float = key(0.9, at_least=0, below=1)
    beta_2: float = key(0.999, at_least=0, below=1)
    epsilon: float = 1e-7
    amsgrad: bool = False


@dataclass
class Adamax(Optimizer):
    _target_: str = "keras.optimizers.Adamax"
    beta_1: float = key(0.9, at_least=0, below=1)
    beta_2: float = key(0.999, at_least=0, below=1)
    epsilon: float = 1e-7


@dataclass
class Nadam(Optimizer):
    _target_: str = "keras.optimizers.Nadam"
    beta_1: float = key(0.9, at_least=0, below=1)
    beta_2: float = key(0.999, at_least=0, below=1)
    epsilon: float = 1e-7


@dataclass
class Adagrad(Optimizer):
    _target_: str = "keras.optimizers.Adagrad"
    learning_rate: float = key(0.01, above=0)
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7


@dataclass
class Adadelta(Optimizer):
    _target_: str = "keras.optimizers.Adadelta"
    learning_rate: float = key(1.0, above=0)
    rho: float = key(0.95, at_least=0, below=1)
    epsilon: float = 1e-7


@dataclass
class Adafactor(Optimizer):
    _target_: str = "keras.optimizers.Adafactor"
    beta_2_decay: float = -0.8
    epsilon_1: float = 1e-30
    epsilon_2: float = 1e-3
    clip_threshold: float = 1.0
    relative_step: bool = True


@dataclass
class Ftrl(Optimizer):
    _target_: str = "keras.optimizers.Ftrl"
    learning_rate_power: float = -0.5
    initial_accumulator_value: float = 0.1
    l1_regularization_strength: float = 0.0
    l2_regularization_strength: float = 0.0
    l2_shrinkage_regularization_strength: float = 0.0
    beta: float = 0.0


@dataclass
class Lamb(Optimizer):
    _target_: str = "keras.optimizers.Lamb"
    beta_1: float = key(0.9, at_least=0, below=1)
    beta_2: float = key(0.999, at_least=0, below=1)
    epsilon: float = 1e-7


@dataclass
class Lion(Optimizer):
    _target_: str = "keras.optimizers.Lion"
    learning_rate: float = key(0.0001, above=0)
    beta_1: float = key(0.9, at_least=0, below=1)
    beta_2: float = key(0.99, at_least=0, below=1)


@dataclass
class Muon(Optimizer):
    _target_: str = "keras.optimizers.Muon"
    weight_decay: float | None = key(0.004, at_least=0)
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    adam_weight_decay: float = 0.004
    adam_lr_ratio: float = 1.0
    epsilon: float = 1e-7
    momentum: float = key(0.95, at_least=0, below=1)
    nesterov: bool = True
    ns_steps: int = 5
    rms_rate: float = 0.2


@dataclass
class ScheduleFreeAdamW(Optimizer):
    _target_: str = "keras.optimizers.ScheduleFreeAdamW"
    learning_rate: float = key(0.0025, above=0)
    beta_1: float = key(0.9, at_least=0, below=1)
    beta_2: float = key(0.999, at_least=0, below=1)
    epsilon: float = 1e-8
    warmup_steps: int = 0
