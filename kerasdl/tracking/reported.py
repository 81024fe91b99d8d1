"""What a resumed run has reported before: read from its journal, so that nothing is reported twice.

A run that was killed at step 480 resumes from its checkpoint at step 400 and computes 80 steps again. Their points are
in the journal, sent or not, with the time at which they were first measured. The first measurement stays.
"""

import math
from collections import defaultdict

from kerasdl.tracking import entries
from kerasdl.tracking.journal import Journal


class ReportedBefore:
    """What the journal holds, as far as a resumed run needs it.

    Points from `resumed_at` on are kept in memory. Of those before it, a resumed run reports at most the part of an
    interval in which the checkpoint lay; the last step of each metric is enough to know them.

    Args:
        journal: the run's.
        resumed_at: training step at which the run resumes; None for a new run, which has reported nothing.

    Attributes:
        params: names of the params.
        datasets: names of the data sets.
        models: training steps of the models.
        final: (metric, training step) of the values that were measured at the end of the run, in addition to those of
            its last epoch.
        metrics_until: the time of the last metrics, in milliseconds since 1970.
        artifacts: paths of the artifacts.
        resumptions: how often the run has been resumed so far.
        next_sample: number of the next sample of the system's metrics.
    """

    def __init__(self, journal: Journal, resumed_at: int | None):
        self.params: set[str] = set()
        self.datasets: set[str] = set()
        self.models: set[int] = set()
        self.final: set[tuple[str, int]] = set()
        self.metrics_until = 0
        self.artifacts: set[str] = set()
        self.resumptions = 0
        self.next_sample = 0
        self._resumed_at = math.inf if resumed_at is None else resumed_at
        self._steps: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
        self._last_before: dict[tuple[int, str], int] = {}
        self._began_at: dict[int, int] = {}
        if resumed_at is not None:
            for entry in journal.entries():
                self._add(entry)

    def has_point(self, attempt: int, key: str, step: int) -> bool:
        """Returns whether the metric `key` has a value at `step`, in this attempt or the one that it rolled back."""
        while step < self._began_at.get(attempt, 0):
            attempt -= 1
        if step >= self._resumed_at:
            return step in self._steps.get((attempt, key), ())
        return step <= self._last_before.get((attempt, key), -1)

    def _add(self, entry: entries.Entry) -> None:
        match entry["kind"]:
            case "metrics" if entry.get("of_end"):
                self.final |= {(key, step) for key, _, _, step in entries.points(entry)}
                self._add_time(entry)
            case "metrics" | "series":
                self._add_time(entry)
                for key, _, _, step in entries.points(entry):
                    self._add_point((entry["attempt"], key), step)
                    if key == entries.ROLLBACKS:
                        self._began_at[entry["attempt"]] = step
            case "system":
                self.next_sample = max([self.next_sample, *(step + 1 for _, _, _, step in entries.points(entry))])
            case "params":
                self.params |= entry["values"].keys()
            case "dataset":
                self.datasets.add(entry["name"])
            case "model":
                self.models.add(entry["step"])
            case "artifact":
                self.artifacts.add(entries.name(entry))
            case "resumption":
                self.resumptions += 1

    def _add_time(self, entry: entries.Entry) -> None:
        self.metrics_until = max([self.metrics_until, *(time for _, _, time, _ in entries.points(entry)[-1:])])

    def _add_point(self, key: tuple[int, str], step: int) -> None:
        if step >= self._resumed_at:
            self._steps[key].add(step)
        else:
            self._last_before[key] = max(step, self._last_before.get(key, -1))
