"""What the journal's entries are: one function builds each kind, and a few read them.

An entry is a plain dict of what JSON holds, with its `kind`; times are milliseconds since 1970, taken when it happened.
Files stand in the spool or, if they are the user's, where they are.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Point = tuple[str, float, int, int]  # key, value, timestamp in ms, step
Entry = dict[str, Any]

POINTS = ("metrics", "system", "series")
RESUMED = "kerasdl.resumed"  # tag: how often the run has gone on
ROLLBACKS = "rollbacks"  # metric: the number of an attempt, at the step that it began at


def now() -> int:
    """Returns the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def metrics(
    values: Iterable[tuple[str, float]], step: int, attempt: int, *, of_end: bool = False, after: int = 0
) -> Entry:
    """Values of several metrics at one training step.

    Args:
        values: (metric, value).
        step: the training step.
        attempt: the number of rollbacks so far.
        of_end: whether they are those of a run's end, and stand beside the last epoch's.
        after: a time that theirs must be later than, whatever the clock says.
    """
    timestamp = max(now(), after + 1)
    entry = {"kind": "metrics", "points": [[key, value, timestamp, step] for key, value in values], "attempt": attempt}
    return entry | {"of_end": True} if of_end else entry


def system(values: Mapping[str, float], sample: int) -> Entry:
    """Values of the system's metrics; their step is the number of the sample and says nothing of training."""
    timestamp = now()
    return {"kind": "system", "points": [[key, float(value), timestamp, sample] for key, value in values.items()]}


def series(key: str, first_step: int, values: Sequence[float], attempt: int) -> Entry:
    """One metric at consecutive training steps."""
    return {
        "kind": "series",
        "key": key,
        "first_step": first_step,
        "values": list(values),
        "timestamp": now(),
        "attempt": attempt,
    }


def params(values: Mapping[str, str]) -> Entry:
    return {"kind": "params", "values": dict(values)}


def tags(values: Mapping[str, str]) -> Entry:
    return {"kind": "tags", "values": dict(values)}


def artifact(path: Path, folder: str | None, spooled: bool) -> Entry:
    """A file or folder for the artifact folder `folder`; `spooled` if it is ours and goes once it is sent."""
    return {"kind": "artifact", "path": str(path), "folder": folder, "spooled": spooled}


def dataset(name: str, version: str, digest: str, source: str, context: str) -> Entry:
    return {
        "kind": "dataset",
        "name": name,
        "version": version,
        "digest": digest,
        "source": source,
        "context": context,
    }


def model(folder: Path, step: int) -> Entry:
    """A model in MLflow's format, in a folder of the spool, as of training step `step`."""
    return {"kind": "model", "path": str(folder), "step": step, "spooled": True}


def resumption() -> Entry:
    """The run is worked on again."""
    return {"kind": "resumption"}


def end(status: str) -> Entry:
    """The run has ended, now, with `FINISHED`, `FAILED` or `KILLED`."""
    return {"kind": "end", "status": status, "time": now()}


def points(entry: Entry) -> list[Point]:
    """Returns the metric points of an entry; none if it is of another kind."""
    if entry["kind"] == "series":
        key, timestamp = entry["key"], entry["timestamp"]
        return [(key, value, timestamp, step) for step, value in enumerate(entry["values"], entry["first_step"])]
    return [tuple(point) for point in entry["points"]] if entry["kind"] in POINTS else []


def has_file(entry: Entry) -> bool:
    """Returns whether the entry stands for files, which go elsewhere than the rest of a run."""
    return entry["kind"] in ("artifact", "model")


def name(entry: Entry) -> str:
    """Returns what the entry is, in words for the user."""
    match entry["kind"]:
        case "params" | "tags" as kind:
            return f"{kind} {next(iter(entry['values']), '')} ..."
        case "artifact":
            folder = f"{entry['folder']}/" if entry["folder"] else ""
            return f"{folder}{Path(entry['path']).name}" if entry["spooled"] else entry["path"]
        case "dataset":
            return f"data set {entry['name']}"
        case "model":
            return "the model"
        case "resumption":
            return "that the run goes on"
        case "end":
            return "the end of the run"
    return "metrics"
