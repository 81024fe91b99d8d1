"""Robustness in numbers: accuracy under attacks and under corruptions, with intervals.

Plain records that tables, CSV files, pictures and MLflow's metrics are made of. Running the network is left to
`kerasdl.robustness.measuring`.
"""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

CONFIDENCE = 0.95
LABELS = {"fgsm": "FGSM", "pgd": "PGD", "linf": "L-inf", "l2": "L2"}


@dataclass(frozen=True)
class Score:
    """How many of some examples were classified correctly.

    Attributes:
        correct: how many.
        examples: of how many, >= 1.
    """

    correct: int
    examples: int

    @property
    def accuracy(self) -> float:
        """The share, in [0, 1]."""
        return self.correct / self.examples

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy on all such examples (Wilson, 1927), in [0, 1]."""
        from scipy.stats import binomtest

        found = binomtest(self.correct, self.examples).proportion_ci(CONFIDENCE, method="wilson")
        return float(found.low), float(found.high)


@dataclass(frozen=True)
class AttackScore:
    """Accuracy under one attack.

    Attributes:
        attack: `fgsm` or `pgd`.
        norm: `linf` or `l2`.
        epsilon: the budget, on the scale where black is 0 and white 1.
        steps: gradient steps of each restart.
        restarts: how often the attack started; an example counts as correct if it is so after each.
        score: an example counts as correct if it is so with and without the attack: the image itself lies in the ball.
    """

    attack: str
    norm: str
    epsilon: float
    steps: int
    restarts: int
    score: Score

    @property
    def label(self) -> str:
        """Its name for people: `PGD L-inf 0.2`."""
        return f"{LABELS[self.attack]} {LABELS[self.norm]} {self.epsilon:g}"


@dataclass(frozen=True)
class CorruptionScore:
    """Accuracy under one corruption at one severity.

    Attributes:
        corruption: its name in `kerasdl.robustness.corruptions`.
        severity: 1 to 5.
        amount: what that is, in `unit`.
        unit: what an amount is.
        score: of the corrupted images.
    """

    corruption: str
    severity: int
    amount: float
    unit: str
    score: Score

    @property
    def label(self) -> str:
        """Its name for people: `fog 3`."""
        return f"{self.corruption.replace('_', ' ')} {self.severity}"


@dataclass(frozen=True)
class Robustness:
    """All that was measured on the same examples.

    Attributes:
        subject: what was measured, for titles: `cnn, first 1,000 of mnist's test split`.
        clean: of the examples as they are.
        attacks: by attack, norm and budget; may be empty.
        corruptions: by corruption and severity; may be empty.
    """

    subject: str
    clean: Score
    attacks: Sequence[AttackScore] = ()
    corruptions: Sequence[CorruptionScore] = ()

    def epsilons(self, norm: str) -> list[float]:
        """Returns the budgets that were tried in a norm, the smallest first."""
        return sorted({score.epsilon for score in self.attacks if score.norm == norm})

    def of_corruption(self, name: str) -> list[CorruptionScore]:
        """Returns a corruption's scores, the lowest severity first."""
        return sorted((score for score in self.corruptions if score.corruption == name), key=lambda own: own.severity)

    @property
    def severities(self) -> list[int]:
        """The severities that were tried."""
        return sorted({score.severity for score in self.corruptions})

    @property
    def corruption_means(self) -> dict[str, float]:
        """The accuracy under each corruption, in [0, 1], averaged over the severities."""
        names = dict.fromkeys(score.corruption for score in self.corruptions)
        return {name: mean(own.score for own in self.of_corruption(name)) for name in names}

    @property
    def severity_means(self) -> dict[int, float]:
        """The accuracy at each severity, in [0, 1], averaged over the corruptions."""
        return {
            severity: mean(own.score for own in self.corruptions if own.severity == severity)
            for severity in self.severities
        }

    @property
    def corruption_mean(self) -> float:
        """The accuracy over all corruptions and severities, in [0, 1]; there must be one."""
        return mean(own.score for own in self.corruptions)

    def metrics(self) -> dict[str, float]:
        """Returns all accuracies, named for MLflow: `robustness/pgd_linf_0.2`, `robustness/corruption_mean`, ..."""
        found = {"robustness/accuracy": self.clean.accuracy}
        for own in self.attacks:
            found[f"robustness/{own.attack}_{own.norm}_{own.epsilon:g}"] = own.score.accuracy
        found |= {f"robustness/{name}": value for name, value in self.corruption_means.items()}
        return found | ({"robustness/corruption_mean": self.corruption_mean} if self.corruptions else {})


def mean(scores: Iterable[Score]) -> float:
    """Returns the average accuracy of scores, each counting alike."""
    return statistics.fmean(score.accuracy for score in scores)


def attacks_csv(found: Robustness) -> str:
    """Returns CSV: the clean accuracy, then a line for each attack and budget, numbers with all of their digits."""
    clean = ["clean", "", 0.0, 0, 0, *_numbers(found.clean)]
    rows = [[own.attack, own.norm, own.epsilon, own.steps, own.restarts, *_numbers(own.score)] for own in found.attacks]
    return _csv(["attack", "norm", "epsilon", "steps", "restarts", *_SCORE_COLUMNS], [clean, *rows])


def corruptions_csv(found: Robustness) -> str:
    """Returns CSV: the clean accuracy (severity 0), then a line for each corruption and severity."""
    clean = ["clean", 0, "", "", *_numbers(found.clean)]
    rows = [[own.corruption, own.severity, own.amount, own.unit, *_numbers(own.score)] for own in found.corruptions]
    return _csv(["corruption", "severity", "amount", "unit", *_SCORE_COLUMNS], [clean, *rows])


_SCORE_COLUMNS = ("correct", "examples", "accuracy", "ci95_low", "ci95_high")


def _numbers(score: Score) -> list[float]:
    return [score.correct, score.examples, score.accuracy, *score.interval]


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()
