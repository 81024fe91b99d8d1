"""A sweep's trials as one CSV table, for spreadsheets and data frames.

Nothing is rounded that a later analysis could miss: values are written so that reading them gives the same number.
Where the table goes is left to the caller; what is shown on a terminal is another, shorter table.
"""

import csv
import io
from collections.abc import Sequence

from kerasdl.sweeps.trials import Objective, Trial, text


def swept_keys(trials: Sequence[Trial]) -> list[str]:
    """Returns each key that any of the trials overrides, in order of first appearance."""
    return list(dict.fromkeys(key for trial in trials for key in trial.overrides))


def csv_text(trials: Sequence[Trial], objectives: Sequence[Objective]) -> str:
    r"""Returns all trials as CSV with a header, ordered by number; lines end with "\n".

    Args:
        trials: any number, in any order.
        objectives: what `Trial.values` are, in their order.

    Returns:
        Columns: trial, state, each swept key (empty where a trial lacks it), each objective's metric (empty without a
        value), epoch, seconds (one decimal), run_id, config_hash, error. Numbers are written with all their digits,
        None as "null" and bools as "true" and "false", as on the command line.
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
        # A failed or pruned trial may have fewer values than there are objectives: its row is as wide as the others.
        values += [""] * (len(metrics) - len(values))
        end = [trial.epoch, f"{trial.seconds:.1f}", trial.run_id or "", trial.config_hash, trial.error or ""]
        writer.writerow([trial.number, str(trial.state), *overrides, *values, *end])
    return file.getvalue()


def _cell(value) -> str:
    # `text` rounds to six digits, which is right for reading and wrong for computing.
    return repr(value) if isinstance(value, float) else text(value)
