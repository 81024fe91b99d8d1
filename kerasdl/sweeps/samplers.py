"""Optuna's samplers and pruners, as `sweep.sampler` and `sweep.pruner` name them."""

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from kerasdl.errors import ConfigError
from kerasdl.seeds import derive
from kerasdl.sweeps.space import Space, Value


class ReseededSampler(BaseSampler):
    """Draws each trial with a seed of its own, so that an interrupted sweep continues as if it hadn't been interrupted.

    Optuna's samplers draw from one stream: started again with the same seed, they would repeat their first trials.

    Args:
        make: makes the sampler for a seed.
        seed: of the whole sweep.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int):
        self._make = make
        self._seed = seed
        self._sampler: BaseSampler
        self.reseed(0, 0)

    def reseed(self, index: int, attempt: int) -> None:
        """Makes the sampler for the sweep's trial `index`; `attempt` counts its draws that gave an existing trial."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._sampler = self._make(derive(self._seed, "sampler", index, attempt))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: Any, values: Any) -> None:
        self._sampler.after_trial(study, trial, state, values)


def draw(study: Study, trial_id: int, space: Space) -> dict[str, Value]:
    """Lets a study's sampler choose the values of a running trial, and returns them by axis key.

    Args:
        study: Optuna's.
        trial_id: Optuna's, in the storage.
        space: what is searched.

    Raises:
        ConfigError: the space differs from that of the study's earlier trials.
    """
    # As `Study.ask` does: otherwise the sampler would see the trials as they were at its first draw.
    study._thread_local.cached_all_trials = None
    chosen: dict[str, Value] = {}
    try:
        trial = optuna.trial.Trial(study, trial_id)
        for axis in space.axes:
            if space.applies(axis, chosen):
                chosen[axis.key] = axis.rounded(trial._suggest(axis.name, axis.distribution()))
    except ValueError as error:
        raise ConfigError(
            f"sweep: a swept key has other values than in the study's earlier trials ({str(error).rstrip('.')}). "
            "Give the changed sweep another sweep.name."
        ) from error
    return chosen


def sampler(name: str, seed: int) -> ReseededSampler:
    """Returns the sampler that `sweep.sampler` names.

    Raises:
        ConfigError: it needs a package that isn't installed.
    """
    if name == "gp" and importlib.util.find_spec("torch") is None:
        raise ConfigError("sweep=gp needs PyTorch. Install it: pip install 'kerasdl[gp]', or choose sweep=tpe.")
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
        # multivariate and group: keys that belong together are drawn together, also in conditional spaces.
        "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True),
        "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
        "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    }
    # A grid never asks its sampler.
    return ReseededSampler(makers.get(name, makers["random"]), seed)


def pruner(name: str, settings: Any) -> optuna.pruners.BasePruner:
    """Returns the pruner that `sweep.pruner` names.

    Args:
        name: none, median, percentile, hyperband or asha.
        settings: the `sweep.pruning` node; resources are counted in evaluations.
    """
    asynchronous = {"min_resource": settings.min_resource, "reduction_factor": settings.reduction_factor}
    startup = {"n_startup_trials": settings.startup_trials, "n_warmup_steps": settings.warmup}
    match name:
        case "median":
            return optuna.pruners.MedianPruner(**startup)
        case "percentile":
            return optuna.pruners.PercentilePruner(settings.percentile, **startup)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(max_resource=settings.max_resource, **asynchronous)
        case "asha":
            # Asynchronous successive halving (Li et al., 2018): no trial waits for a rung to fill.
            return optuna.pruners.SuccessiveHalvingPruner(**asynchronous)
    return optuna.pruners.NopPruner()
