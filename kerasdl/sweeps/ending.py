"""A sweep's last lines: what came out, what failed, and what to type next."""

import signal
from collections import Counter
from collections.abc import Sequence

from kerasdl import console
from kerasdl.files import shorten
from kerasdl.sweeps.parent import Parent
from kerasdl.sweeps.trials import Objective, State, Trial, best, figure, label

_MOST_LISTED = 5


def tell(
    name: str,
    trials: Sequence[Trial],
    goals: Sequence[Objective],
    parent: Parent,
    problems: Sequence[str],
    interrupted: str | None,
) -> int:
    """Says what came out of a sweep, and returns the exit code.

    It is 0; 1 if something is missing; after a signal 128 and its number.
    """
    counts = Counter(trial.state for trial in trials)
    parts = [f"{counts[state]} {state.lower()}" for state in State if counts[state]]
    console.row("sweep", f"{name}: {len(trials)} trials, {', '.join(parts)}")
    for trial in best(trials, goals)[:_MOST_LISTED]:
        values = ", ".join(
            f"{goal.metric} {figure(value)}" for goal, value in zip(goals, trial.values or (), strict=True)
        )
        console.row("best", f"trial {trial.number}: {values}  ({label(trial.overrides)})")
        if trial.run_id:
            console.row("run", trial.run_id)
    failed = [trial for trial in trials if trial.state is State.FAILED]
    for trial in failed[:_MOST_LISTED]:
        console.complain(f"trial {trial.number} ({label(trial.overrides)}): {trial.error}")
    if failed:
        more = f", and {len(failed) - _MOST_LISTED} more" if len(failed) > _MOST_LISTED else ""
        console.complain(f"{len(failed)} of {len(trials)} trials failed{more}. Logs: {shorten(parent.logs)}")
    for problem in problems:
        console.complain(problem)
    waiting = counts[State.WAITING] + counts[State.RUNNING]
    if waiting or failed:
        console.row("go on", "type the same command again: what is finished is kept, the rest is run")
    if parent.run_id:
        console.row("parent", parent.run_id)
        console.row("browse", parent.tracker.ui_command())
    if interrupted:
        return 128 + signal.Signals[interrupted]
    return 1 if failed or problems or waiting else 0
