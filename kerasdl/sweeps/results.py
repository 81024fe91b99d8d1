"""The results of a sweep: each trial's values, the best trials, the table of all trials, and the last lines printed."""

import csv
import io
import math
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasdl import console
from kerasdl.files import shorten
from kerasdl.sweeps.trials import DONE, Objective, State, Trial, label, number_text, swept_keys, text

_MOST_LISTED = 5


def values_of(metrics: Mapping[str, float], objectives: Sequence[Objective]) -> list[float] | str:
    """Returns the objectives' values among a run's metrics, or a phrase that says what is wrong with them."""
    values = []
    for objective in objectives:
        value = metrics.get(objective.metric)
        if value is None:
            return f"its run has no {objective.metric}, only {', '.join(sorted(metrics))}"
        if math.isnan(value):
            return f"its {objective.metric} is not a number"
        values.append(float(value))
    return values


def best(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Returns the best finished trials: one for a single objective, the Pareto front for several; [] if none is.

    Of equal trials the earliest comes first, and is the only one for a single objective. A trial with a NaN is never
    among the best.
    """
    finished = [trial for trial in trials if trial.state is State.FINISHED and _comparable(trial)]
    if len(objectives) == 1:
        choose = max if objectives[0].maximize else min
        return [choose(finished, key=lambda trial: _comparable(trial)[0])] if finished else []
    return [trial for trial in finished if not any(_dominates(other, trial, objectives) for other in finished)]


def _comparable(trial: Trial) -> tuple[float, ...]:
    values = trial.values or ()
    return () if any(math.isnan(value) for value in values) else values


def _dominates(one: Trial, other: Trial, objectives: Sequence[Objective]) -> bool:
    triples = list(zip(objectives, _comparable(one), _comparable(other), strict=True))
    return any(goal.better(a, b) for goal, a, b in triples) and not any(goal.better(b, a) for goal, a, b in triples)


def csv_text(trials: Sequence[Trial], objectives: Sequence[Objective]) -> str:
    r"""Returns all trials as CSV with a header, ordered by number; lines end with "\n".

    Args:
        trials: any number, in any order.
        objectives: what `Trial.values` are, in their order.

    Returns:
        Columns: trial, state, each swept key (empty where a trial lacks it), each objective's metric (empty without a
        value), epoch, seconds (one decimal), run_id, config_hash, error. Numbers are written with all their digits,
        so that reading them gives the same numbers; None as "null" and bools as "true" and "false", as on the command
        line.
    """
    trials = sorted(trials, key=lambda trial: trial.number)
    keys = swept_keys(trials)
    metrics = [objective.metric for objective in objectives]
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", "state", *keys, *metrics, "epoch", "seconds", "run_id", "config_hash", "error"])
    for trial in trials:
        overrides = [_cell(trial.overrides[key]) if key in trial.overrides else "" for key in keys]
        values = [""] * len(metrics) if trial.values is None else [repr(float(value)) for value in trial.values]
        # A failed or pruned trial may have fewer values than there are objectives.
        values += [""] * (len(metrics) - len(values))
        end = [trial.epoch, f"{trial.seconds:.1f}", trial.run_id or "", trial.config_hash, trial.error or ""]
        writer.writerow([trial.number, str(trial.state), *overrides, *values, *end])
    return file.getvalue()


def _cell(value) -> str:
    # `text` rounds to six digits, which is right for reading and wrong for computing.
    return repr(value) if isinstance(value, float) else text(value)


def values_text(trial: Trial, objectives: Sequence[Objective], separator: str = ", ") -> str:
    """Returns the objectives' values that a trial has, e.g. `val_accuracy 0.9871, parameters 21,840`."""
    pairs = zip(objectives, trial.values or (), strict=False)  # a pruned trial may have only the first value
    return separator.join(f"{objective.metric} {number_text(value)}" for objective, value in pairs)


def print_results(
    name: str, trials: Sequence[Trial], objectives: Sequence[Objective], logs: Path, problems: Sequence[str]
) -> None:
    """Prints counts, the best trials, what failed, and how to resume.

    Args:
        name: of the sweep.
        trials: those of the command.
        objectives: of the sweep.
        logs: the folder of the trials' output.
        problems: what else went wrong, a line each.
    """
    counts = Counter(trial.state for trial in trials)
    parts = [f"{counts[state]} {state.lower()}" for state in State if counts[state]]
    console.row("sweep", f"{name}: {len(trials)} trials, {', '.join(parts)}")
    for trial in best(trials, objectives)[:_MOST_LISTED]:
        console.row("best", f"trial {trial.number}: {values_text(trial, objectives)}  ({label(trial.overrides)})")
        if trial.run_id:
            console.row("run", trial.run_id)
    failed = [trial for trial in trials if trial.state is State.FAILED]
    for trial in failed[:_MOST_LISTED]:
        console.complain(f"trial {trial.number} ({label(trial.overrides)}): {trial.error}")
    if failed:
        more = f", and {len(failed) - _MOST_LISTED} more" if len(failed) > _MOST_LISTED else ""
        console.complain(f"{len(failed)} of {len(trials)} trials failed{more}. Logs: {shorten(logs)}")
    for problem in problems:
        console.complain(problem)
    if not is_complete(trials):
        console.row("resume", "run the same command again: finished trials are kept, the others are run")


def is_complete(trials: Sequence[Trial]) -> bool:
    """Returns whether every trial has a result."""
    return all(trial.state in DONE for trial in trials)


def exit_code(trials: Sequence[Trial], problems: Sequence[str], interrupted: str | None) -> int:
    """Returns 0 if every trial has a result and all of it is kept, else 1; after a signal 128 and its number."""
    if interrupted:
        return 128 + signal.Signals[interrupted]
    return 0 if is_complete(trials) and not problems else 1
