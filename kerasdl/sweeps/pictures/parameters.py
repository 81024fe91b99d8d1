"""Swept keys as Optuna's plots are to see them, and a study in memory for the plots, rebuilt from the trials."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasdl.config.keys import short_names
from kerasdl.sweeps.trials import Objective, Trial, swept_keys, text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

# Values of a category that are longer are cut.
MAX_CATEGORY_LENGTH = 18


@dataclass(frozen=True)
class Parameter:
    """A swept key.

    Attributes:
        key: of the configuration.
        distribution: Optuna's.
        categories: what to write for each value's text; None for numbers, which stand for themselves.
    """

    key: str
    distribution: "BaseDistribution"
    categories: dict[str, str] | None

    def value(self, trial: Trial) -> Any:
        value = trial.overrides[self.key]
        return value if self.categories is None else self.categories[text(value)]


def varying_parameters(trials: Sequence[Trial]) -> dict[str, Parameter]:
    """Returns the keys that vary among trials, by short and clear names, as in `label`."""
    keys = swept_keys(trials)
    parameters = {}
    for name, key in zip(short_names(keys), keys, strict=True):
        values = [trial.overrides[key] for trial in trials if key in trial.overrides]
        if len({text(value) for value in values}) > 1:
            parameters[name] = _parameter(key, values)
    return parameters


def study_of(finished: Sequence[Trial], objectives: Sequence[Objective], space: dict[str, Parameter]) -> "Study":
    """Returns a study in memory that has these trials, with their numbers, and no others."""
    import optuna

    study = optuna.create_study(directions=[objective.direction for objective in objectives])
    study.set_metric_names([objective.metric for objective in objectives])
    by_number = {trial.number: trial for trial in finished}
    for number in range(max(by_number) + 1):
        trial = by_number.get(number)
        if trial is None:
            # Optuna numbers trials as they are added: without these the following ones would get other numbers.
            study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
            continue
        own = {name: parameter for name, parameter in space.items() if parameter.key in trial.overrides}
        params = {name: parameter.value(trial) for name, parameter in own.items()}
        distributions = {name: parameter.distribution for name, parameter in own.items()}
        study.add_trial(optuna.trial.create_trial(values=trial.values, params=params, distributions=distributions))
    return study


def _parameter(key: str, values: Sequence[Any]) -> Parameter:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if all(isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in values):
        kind = IntDistribution if all(isinstance(value, int) for value in values) else FloatDistribution
        return Parameter(key, kind(min(values), max(values), log=_is_logarithmic(values)), None)
    texts = list(dict.fromkeys(map(text, values)))
    # A dollar sign would begin a formula.
    cut = [name if len(name) <= MAX_CATEGORY_LENGTH else name[: MAX_CATEGORY_LENGTH - 1] + "…" for name in texts]
    written = [name.replace("$", r"\$") for name in (cut if len(set(cut)) == len(texts) else texts)]
    return Parameter(key, CategoricalDistribution(written), dict(zip(texts, written, strict=True)))


def _is_logarithmic(values: Sequence[float]) -> bool:
    """Returns whether a logarithmic axis suits: a decade or more, its median nearer to the geometric mean."""
    low, middle, high = min(values), statistics.median_low(sorted(set(values))), max(values)
    return low > 0 and high >= 10 * low and middle - math.sqrt(low) * math.sqrt(high) < (low + high) / 2 - middle
