"""Types of the `optimizer` group: one dataclass a Keras optimizer, with Keras's own argument names.

The values are Keras's defaults, except where conf/optimizer/ says otherwise; a test compares both with the installed
Keras, so that an argument which Keras renames is noticed.
"""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class Optimizer:
    """What every Keras optimizer takes."""

    _target_: str = MISSING
    learning_rate: float = 0.001
    weight_decay: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None
    clipvalue: float | None = None
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    gradient_accumulation_steps: int | None = None


@dataclass
class SGD(Optimizer):
    _target_: str = "keras.optimizers.SGD"
    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False


@dataclass
class RMSprop(Optimizer):
    _target_: str = "keras.optimizers.RMSprop"
    learning_rate: float = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False


@dataclass
class Adam(Optimizer):
    _target_: str = "keras.optimizers.Adam"
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False


@dataclass
class AdamW(Optimizer):
    _target_: str = "keras.optimizers.AdamW"
    learning_rate: float = 0.001
    weight_decay: float | None = 0.004
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False


@dataclass
class Adamax(Optimizer):
    _target_: str = "keras.optimizers.Adamax"
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


@dataclass
class Nadam(Optimizer):
    _target_: str = "keras.optimizers.Nadam"
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


@dataclass
class Adagrad(Optimizer):
    _target_: str = "keras.optimizers.Adagrad"
    learning_rate: float = 0.01
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7


@dataclass
class Adadelta(Optimizer):
    _target_: str = "keras.optimizers.Adadelta"
    learning_rate: float = 1.0
    rho: float = 0.95
    epsilon: float = 1e-7


@dataclass
class Adafactor(Optimizer):
    _target_: str = "keras.optimizers.Adafactor"
    learning_rate: float = 0.001
    beta_2_decay: float = -0.8
    epsilon_1: float = 1e-30
    epsilon_2: float = 1e-3
    clip_threshold: float = 1.0
    relative_step: bool = True


@dataclass
class Ftrl(Optimizer):
    _target_: str = "keras.optimizers.Ftrl"
    learning_rate: float = 0.001
    learning_rate_power: float = -0.5
    initial_accumulator_value: float = 0.1
    l1_regularization_strength: float = 0.0
    l2_regularization_strength: float = 0.0
    l2_shrinkage_regularization_strength: float = 0.0
    beta: float = 0.0


@dataclass
class Lamb(Optimizer):
    _target_: str = "keras.optimizers.Lamb"
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


@dataclass
class Lion(Optimizer):
    _target_: str = "keras.optimizers.Lion"
    learning_rate: float = 0.0001
    beta_1: float = 0.9
    beta_2: float = 0.99


@dataclass
class Muon(Optimizer):
    _target_: str = "keras.optimizers.Muon"
    learning_rate: float = 0.001
    weight_decay: float | None = 0.004
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    adam_weight_decay: float = 0.004
    adam_lr_ratio: float = 1.0
    epsilon: float = 1e-7
    momentum: float = 0.95
    nesterov: bool = True
    ns_steps: int = 5
    rms_rate: float = 0.2


@dataclass
class ScheduleFreeAdamW(Optimizer):
    _target_: str = "keras.optimizers.ScheduleFreeAdamW"
    learning_rate: float = 0.0025
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    warmup_steps: int = 0
