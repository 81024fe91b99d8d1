"""Which trial is next: the points of a grid, or what a sampler chooses; what is left from earlier comes first."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from kerasdl.sweeps.composer import Composer
from kerasdl.sweeps.optuna_trials import Claim
from kerasdl.sweeps.plan import PlannedTrial, check_unchanged, plan_grid, plan_trial
from kerasdl.sweeps.space import Space, Value
from kerasdl.sweeps.study import Study
from kerasdl.sweeps.trials import State, Trial

# A sampler that has proposed existing trials so often in a row has nothing new to propose.
_MAX_REDRAWS = 20


@dataclass(frozen=True)
class NextTrial:
    """A trial that this process has claimed.

    Attributes:
        claim: on the trial.
        planned: its configuration.
        overrides: what distinguishes it from the other trials.
        duplicate: a trial with the same configuration that has a result already; None if there is none.
    """

    claim: Claim
    planned: PlannedTrial
    overrides: Mapping[str, Value]
    duplicate: Trial | None


class TrialQueue:
    """The trials of a command that are still to be run, in the study that all machines share.

    Args:
        config: of the sweep; has `sweep` and `paths`.
        study: of the sweep.
        space: what the command sweeps.
        composer: composes configurations of trials.
    """

    def __init__(self, config: DictConfig, study: Study, space: Space, composer: Composer):
        self._study = study
        self._space = space
        self._composer = composer
        self._output_dir = config.paths.output_dir
        self._is_grid = config.sweep.sampler == "grid"
        self._total: int | None = None if self._is_grid else config.sweep.trials
        self._planned: dict[str, PlannedTrial] = {}  # of a grid, by identity
        self._by_values: dict[str, PlannedTrial] = {}
        self._put_back: set[int] = set()
        self._redraws = 0

    @property
    def total(self) -> int:
        """How many trials the sweep has in the end."""
        return max(self._total or 0, len(self.trials()))

    def trials(self) -> list[Trial]:
        """Returns the trials that belong to the command: of a grid those at its points."""
        trials = self._study.trials()
        return [trial for trial in trials if trial.config_hash in self._planned] if self._planned else trials

    def prepare(self) -> None:
        """Adds the points of the grid that the study lacks, and makes interrupted and failed trials wait again.

        Raises:
            ConfigError: a point of the grid refers to a key that doesn't exist, or a search has results of other
                configurations.
        """
        if self._is_grid:
            self._planned = plan_grid(self._composer, self._space)
            self._by_values = {_key(one.chosen): one for one in self._planned.values()}
        else:
            check_unchanged(self._composer, self._space, self._study.trials(), self._output_dir)
        for claim in self._study.orphans():
            self._study.release(claim)
        known = {trial.config_hash for trial in self._study.trials()}
        for config_hash, one in self._planned.items():
            if config_hash not in known:
                self._study.add(self._space, one.chosen, config_hash)
        self._study.retry_failed(trial.number for trial in self.trials() if trial.state is State.FAILED)

    def next(self) -> NextTrial | None:
        """Claims a trial, or returns None if none is waiting and the sampler has no other.

        Raises:
            ConfigError: the space differs from that of the study's earlier trials.
        """
        while claim := self._claim():
            chosen = claim.chosen if claim.chosen is not None else self._study.sample(claim, self._space)
            planned = self._plan(chosen)
            duplicate = self._study.identify(claim, self._space, chosen, planned.config_hash)
            if duplicate is None or duplicate.values is not None:
                self._redraws = 0
                return NextTrial(claim, planned, self._space.by_name(chosen), duplicate)
            # It is being trained at this moment: another draw tells more than training the same twice.
            self._study.drop(claim.id)
            self._redraws += 1
        return None

    def put_back(self, claim: Claim, **attributes: Any) -> None:
        """Lets a trial that was stopped from outside wait for the next run of the command; this one leaves it alone."""
        self._study.release(claim, **attributes)
        self._put_back.add(claim.number)

    def _claim(self) -> Claim | None:
        claim = self._study.claim(self._planned if self._is_grid else None, self._total, self._put_back)
        if claim is None and self._total is not None and self._redraws <= _MAX_REDRAWS:
            if len(self._study.trials()) >= self._total:
                return None
            self._study.add_unsampled(self._redraws)
            claim = self._study.claim(None, self._total, self._put_back)
        return claim

    def _plan(self, chosen: dict[str, Value]) -> PlannedTrial:
        return self._by_values.get(_key(chosen)) or plan_trial(self._composer, self._space, chosen)


def _key(chosen: Mapping[str, Value]) -> str:
    return json.dumps(chosen, sort_keys=True)
