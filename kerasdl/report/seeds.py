"""Results of runs, grouped by configuration over seeds: means with intervals, and pairs of configurations compared.

The best of many configurations with one seed each is mostly luck. The mean over seeds and its interval show how much of
a difference is; over the same seeds two configurations can be compared in pairs, which takes out what the seed does to
both. How this is shown is left to `kerasdl.report.seed_tables`, where runs come from to the caller.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from kerasdl.config.identity import GROUPS, deciding_part
from kerasdl.config.renames import public_name

if TYPE_CHECKING:
    from kerasdl.tracking.reading import Run

CONFIDENCE = 0.95
FEW_SEEDS = 5  # with fewer, an interval and a p value mean little


@dataclass(frozen=True)
class Summary:
    """A sample, its mean, and the uncertainty of that.

    Attributes:
        n: its size, >= 1.
        mean: arithmetic mean.
        std: sample standard deviation (n - 1 in the denominator); None for n = 1.
        interval: 95 % confidence interval of the mean, (low, high), by Student's t; None for n = 1.
    """

    n: int
    mean: float
    std: float | None
    interval: tuple[float, float] | None


def summarize(values: Sequence[float]) -> Summary:
    """Summarizes one value or more; NaN in, NaN out.

    The interval is Student's (Student, "The probable error of a mean", Biometrika 1908): exact for normal values.
    """
    sample = np.asarray(values, dtype=np.float64)
    n, mean = len(sample), float(sample.mean())
    if n == 1:
        return Summary(n, mean, None, None)
    std = float(sample.std(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * std / math.sqrt(n)
    return Summary(n, mean, std, (mean - half, mean + half))


@dataclass(frozen=True)
class Row:
    """The counted runs of one configuration.

    Attributes:
        number: its place in the table, from 1.
        configuration: full key -> value as text, for the keys of the table that it has.
        values: the metric by seed.
        summary: of `values`.
        best: the best of `values`.
        seconds: mean training time of a run; None if no run has it.
    """

    number: int
    configuration: Mapping[str, str]
    values: Mapping[str, float]
    summary: Summary
    best: float
    seconds: float | None


@dataclass(frozen=True)
class Table:
    """Configurations, the best mean first.

    Attributes:
        metric: what is compared.
        maximize: whether more of it is better.
        keys: full keys in which the rows differ.
        rows: one for each configuration; none if no finished run has the metric.
        left_out: sentences on the runs that aren't counted.
    """

    metric: str
    maximize: bool
    keys: Sequence[str]
    rows: Sequence[Row]
    left_out: Sequence[str]


def tabulate(runs: Iterable["Run"], metric: str, maximize: bool, seconds: Callable[["Run"], float | None]) -> Table:
    """Groups runs by all that decides their result but the seed.

    Only finished runs count, and of several with one configuration and seed the one that ended last.

    Args:
        runs: in any order and any state.
        metric: whose last value counts.
        maximize: whether more of it is better.
        seconds: returns how long a run trained, or None; called for the runs that count.
    """
    runs = list(runs)
    having = [run for run in runs if run.state == "FINISHED" and metric in run.metrics]
    groups: defaultdict[frozenset[tuple[str, str]], dict[str, Run]] = defaultdict(dict)
    for run in sorted(having, key=lambda run: (run.ended, run.id)):
        # A run of another program has no seed: its id takes the place of one.
        groups[_configuration(run.params)][run.params.get("seed", run.id)] = run
    keys = _distinguishing([dict(group) for group in groups])
    rows = [
        _row({key: value for key, value in group if key in keys}, counted, metric, maximize, seconds)
        for group, counted in groups.items()
    ]
    rows.sort(key=lambda row: _place(row, keys, maximize))
    rows = [replace(row, number=number) for number, row in enumerate(rows, 1)]
    return Table(metric, maximize, keys, rows, _left_out(runs, metric, having, sum(map(len, groups.values()))))


@dataclass(frozen=True)
class Comparison:
    """One configuration against another, over the seeds that both have.

    Attributes:
        one: the row that is compared.
        other: the row that it is compared with.
        difference: summary of (one - other) by seed.
        p_value: of the two-sided paired t-test that the mean difference is 0; None for one seed, or if the differences
            are all equal, for which the test isn't made.
        better: for how many seeds `one` is better.
        equal: for how many seeds both are equal.
    """

    one: Row
    other: Row
    difference: Summary
    p_value: float | None
    better: int
    equal: int


def compare(one: Row, other: Row, maximize: bool) -> Comparison | None:
    """Compares two rows in pairs of equal seed; None if they share none."""
    seeds = [seed for seed in one.values if seed in other.values]
    if not seeds:
        return None
    differences = np.array([one.values[seed] - other.values[seed] for seed in seeds])
    summary = summarize(differences.tolist())
    p_value = None
    if summary.std and summary.std > 1e-12 * abs(summary.mean):  # rounding makes equal differences not quite equal
        t = summary.mean / (summary.std / math.sqrt(summary.n))
        p_value = float(2 * stats.t.sf(abs(t), summary.n - 1))
    better = int(np.sum(differences > 0 if maximize else differences < 0))
    return Comparison(one, other, summary, p_value, better, int(np.sum(differences == 0)))


def _row(
    configuration: Mapping[str, str],
    by_seed: Mapping[str, "Run"],
    metric: str,
    maximize: bool,
    seconds: Callable[["Run"], float | None],
) -> Row:
    values = {seed: by_seed[seed].metrics[metric] for seed in sorted(by_seed, key=_natural)}
    numbers = [value for value in values.values() if not math.isnan(value)]
    best = (max if maximize else min)(numbers, default=math.nan)
    times = [time for run in by_seed.values() if (time := seconds(run)) is not None]
    mean_time = float(np.mean(times)) if times else None
    return Row(0, configuration, values, summarize([*values.values()]), best, mean_time)


def _configuration(params: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Returns the params that decide a result, by the rule of `kerasdl.config.identity`; the seed isn't asked."""
    tree: dict[str, Any] = {group: {} for group in GROUPS} | {"seed": None}
    paths = {key: key.split(".") for key in params if key.partition(".")[0] in GROUPS and "." in key}
    for key, path in paths.items():
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = params[key]
    decisive = deciding_part(tree)
    return frozenset((key, public_name(params[key])) for key, path in paths.items() if _has(decisive, path))


def _has(tree: Any, path: Sequence[str]) -> bool:
    for name in path:
        if name not in tree:
            return False
        tree = tree[name]
    return True


def _distinguishing(configurations: Sequence[Mapping[str, str]]) -> list[str]:
    """Returns the keys, sorted, that distinguish configurations.

    A key that some don't have (the momentum of an optimizer) and the others agree on adds nothing, unless no other key
    distinguishes them.
    """
    values: defaultdict[str, set[str]] = defaultdict(set)
    for configuration in configurations:
        for key, value in configuration.items():
            values[key].add(value)
    keys = sorted(key for key in values if len(values[key]) > 1)
    distinct = {tuple(configuration.get(key) for key in keys) for configuration in configurations}
    if len(distinct) == len(configurations):
        return keys
    return sorted(
        key for key in values if any(configurations[0].get(key) != other.get(key) for other in configurations)
    )


def _place(row: Row, keys: Sequence[str], maximize: bool) -> tuple:
    """Orders rows by their mean, NaN last, and equal ones by their configuration."""
    mean = row.summary.mean
    goodness = -math.inf if math.isnan(mean) else mean if maximize else -mean
    return -goodness, [_natural(row.configuration.get(key, "")) for key in keys]


def _natural(text: str) -> tuple[float, str]:
    """Orders texts that are numbers by their value, before all others."""
    try:
        number = float(text)
    except ValueError:
        return math.inf, text
    return (math.inf if math.isnan(number) else number), text


def _left_out(runs: Sequence["Run"], metric: str, having: Sequence["Run"], counted: int) -> list[str]:
    lines = []
    states = Counter(run.state.lower() for run in runs)
    without = states.pop("finished", 0) - len(having)
    if states:
        *others, last = [f"{count} {state}" for state, count in sorted(states.items(), key=lambda item: -item[1])]
        text = f"{', '.join(others)} and {last}" if others else last
        lines.append(f"{text} {'run is' if states.total() == 1 else 'runs are'} not counted.")
    if without:
        lines.append(f"{without} finished {'run has' if without == 1 else 'runs have'} no {metric}.")
    if repeats := len(having) - counted:
        lines.append(
            f"{repeats} {'run repeats' if repeats == 1 else 'runs repeat'} the configuration and seed of another; of "
            "such runs the one that finished last counts."
        )
    return lines
