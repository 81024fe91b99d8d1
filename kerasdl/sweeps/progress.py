"""The progress of a sweep, for whoever shows it: counts, the best, what runs, and what has changed since last time."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kerasdl.sweeps.results import best
from kerasdl.sweeps.trials import ENDED, Objective, State, Trial


@dataclass(frozen=True)
class TrialProgress:
    """The progress of a trial that runs on this machine.

    Attributes:
        epoch: epochs that are done.
        epochs: epochs in all.
        metric: the first objective's latest value; None before the first evaluation.
        seconds: how long it has run, over all its attempts.
    """

    epoch: int
    epochs: int
    metric: float | None
    seconds: float

    @property
    def fraction(self) -> float:
        """How much of the trial is done, in [0, 1]."""
        return min(1.0, self.epoch / self.epochs) if self.epochs else 0.0


class SweepProgress:
    """Counts, order and the best of the trials so far, updated by what changes instead of counted anew each time.

    Attributes:
        counts: trials by state.
        running: numbers of the running trials, in the order in which they began.
        best: the best trials so far (`results.best`).
        best_numbers: their numbers.
    """

    def __init__(self, objectives: Sequence[Objective]):
        self.counts: Counter[State] = Counter()
        self.running: dict[int, None] = {}
        self.best: list[Trial] = []
        self.best_numbers: set[int] = set()
        self._objectives = objectives
        self._trials: dict[int, Trial] | None = None  # None before the first update
        self._ended: dict[int, None] = {}  # in the order in which they ended
        self._seconds = 0.0
        self._timed = 0

    @property
    def ended(self) -> int:
        """How many trials are over."""
        return sum(self.counts[state] for state in ENDED)

    @property
    def mean_seconds(self) -> float:
        """Mean duration of the trials that finished or were pruned since the first update; 0.0 if none did."""
        return self._seconds / self._timed if self._timed else 0.0

    def trial(self, number: int) -> Trial:
        assert self._trials is not None
        return self._trials[number]

    def update(self, trials: Sequence[Trial]) -> Iterator[Trial]:
        """Yields each trial that began, ended or stopped since the last call, ended ones first, once it is counted."""
        first, before = self._trials is None, self._trials or {}
        self._trials = {trial.number: trial for trial in trials}
        changed = [t for t in trials if t.number not in before or before[t.number].state is not t.state]
        if finished := [trial for trial in changed if trial.state is State.FINISHED]:
            self._rank(finished)
        for trial in sorted(changed, key=lambda trial: trial.state not in ENDED):
            known = before.get(trial.number)
            self._count(trial, known, timed=not first)
            ended_earlier = first and trial.state in ENDED
            never_begun = trial.state is State.WAITING and (known is None or known.state is not State.RUNNING)
            if not (ended_earlier or never_begun):
                yield trial

    def most_interesting(self, limit: int) -> list[int]:
        """Returns the numbers of at most `limit` trials, ascending: running ones, the best, those that ended last."""
        first = itertools.chain(self.running, (trial.number for trial in self.best[:1]), reversed(self._ended))
        return sorted(itertools.islice(dict.fromkeys(first), limit))

    def _count(self, trial: Trial, known: Trial | None, timed: bool) -> None:
        if known is not None:
            self.counts[known.state] -= 1
        self.counts[trial.state] += 1
        self.running.pop(trial.number, None)
        self._ended.pop(trial.number, None)
        if trial.state is State.RUNNING:
            self.running[trial.number] = None
        elif trial.state in ENDED:
            self._ended[trial.number] = None
            if timed and trial.state is not State.FAILED:  # a failure says nothing about how long the others take
                self._seconds += trial.seconds
                self._timed += 1

    def _rank(self, finished: Sequence[Trial]) -> None:
        """Compares newly finished trials with the best so far, which have beaten all others already."""
        rivals = sorted([*self.best, *(trial for trial in finished if trial.values)], key=self._rank_of)
        # In this order `best` finds at once that a trial is beaten: 2000 aren't compared each with each.
        self.best = best(rivals[:1] if len(self._objectives) == 1 else rivals, self._objectives)
        self.best_numbers = {trial.number for trial in self.best}

    def _rank_of(self, trial: Trial) -> tuple[bool, float, int]:
        """Sorts by the first objective, the best first and NaN last, and equal ones by number."""
        assert trial.values
        value = trial.values[0]
        return math.isnan(value), -value if self._objectives[0].maximize else value, trial.number
